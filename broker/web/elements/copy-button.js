/** A button that copies a text, and says whether it could. */

import { button } from "./markup.js";

const SHOWN_FOR_MS = 2500;

/**
 * @param {string} label
 * @param {() => string} text
 */
export function copyButton(label, text) {
  const element = button(label, async () => {
    element.textContent = (await copied(text())) ? "Copied" : "Copying is not allowed here";
    setTimeout(() => {
      element.textContent = label;
    }, SHOWN_FOR_MS);
  }, { class: "small", "aria-live": "polite" });
  return element;
}

/** @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
