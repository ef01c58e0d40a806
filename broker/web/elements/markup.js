/** Building the page from plain text only: nothing here ever parses markup. */

/** @typedef {Node | string | null} Child */

/**
 * An element with attributes and children. `true` sets an empty attribute, `false` and null leave it out; a function
 * under `on<event>` becomes a listener.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | null | ((event: any) => void)>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * A button that does nothing but what it is told.
 * @param {string} label
 * @param {() => void} action
 * @param {Record<string, string | boolean>} [attributes]
 */
export function button(label, action, attributes = {}) {
  return make("button", { type: "button", ...attributes, onclick: action }, label);
}

/**
 * Text in an element, written only when it differs, so that live regions speak and focus stays.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @type {WeakMap<Element, unknown>} */
const shownItems = new WeakMap();

/**
 * Makes the container's children those of `items`, in order. Children stay while their key stays, so that focus and
 * selection survive; a child is made anew in place when its item is another object.
 * @template T
 * @param {Element} container
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement} create
 */
export function showList(container, items, keyOf, create) {
  const before = new Map([...container.children].map((child) => [child.getAttribute("data-key"), child]));
  /** @type {Element | null} */
  let previous = null;
  for (const item of items) {
    const key = keyOf(item);
    let child = before.get(key);
    before.delete(key);
    if (child === undefined || shownItems.get(child) !== item) {
      const fresh = create(item);
      fresh.setAttribute("data-key", key);
      shownItems.set(fresh, item);
      if (child !== undefined) replaceKeepingFocus(child, fresh);
      child = fresh;
    }
    const expected = /** @type {Element | null} */ (previous === null ? container.firstElementChild : previous.nextElementSibling);
    if (expected !== child) container.insertBefore(child, expected);
    previous = child;
  }
  for (const child of before.values()) child.remove();
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
function replaceKeepingFocus(old, fresh) {
  const focusable = "button, input, select, a[href]";
  const focused = [...old.querySelectorAll(focusable)].indexOf(/** @type {Element} */ (document.activeElement));
  old.replaceWith(fresh);
  const successor = focused < 0 ? null : fresh.querySelectorAll(focusable)[focused];
  if (successor instanceof HTMLElement) successor.focus();
}
