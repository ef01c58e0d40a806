/** <tg-stopped>: that the organisation has stopped this, and when the page tries again. */

import { timeOfDay } from "../protocol/words.js";
import { ClientElement } from "./client-element.js";
import { make, setText } from "./markup.js";

class Stopped extends ClientElement {
  #sentence = make("strong");
  #until = make("span");

  build() {
    this.append(make("p", {}, this.#sentence, " ", this.#until));
  }

  /** @param {import("../protocol/state.js").Session} state */
  show({ link, stop }) {
    const until_ms = link === "stopped" ? stop?.until_ms ?? null : null;
    this.hidden = until_ms === null;
    if (stop === null || until_ms === null) return;
    setText(this.#sentence, stop.sentence);
    setText(this.#until, `This page connects again by itself at ${timeOfDay(until_ms)}, and not before.`);
  }
}

customElements.define("tg-stopped", Stopped);
