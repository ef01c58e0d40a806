/**
 * A button that waits: while something is stopped the edge says when to ask again, and until then it is not pressed.
 *
 * @import {Answer} from "../protocol/http.js"
 */

import { EMERGENCY_STOP } from "../protocol/stopping.js";
import { timeOfDay } from "../protocol/words.js";
import { make, setText } from "./markup.js";

export class Pause {
  /** Says until when, for those who wonder at the button. */
  words = make("p", { role: "status", hidden: true });
  #button;

  /** @param {HTMLButtonElement} button */
  constructor(button) {
    this.#button = button;
  }

  /** @param {Answer} answer */
  after(answer) {
    if (answer.ok || answer.code !== EMERGENCY_STOP || answer.return_after_seconds === null) {
      this.words.hidden = true;
      return;
    }
    const wait_ms = answer.return_after_seconds * 1000;
    this.#button.disabled = true;
    this.words.hidden = false;
    setText(this.words, `You can try again at ${timeOfDay(Date.now() + wait_ms)}, and not before.`);
    setTimeout(() => {
      this.#button.disabled = false;
      setText(this.words, "You can try again now.");
    }, wait_ms);
  }
}
