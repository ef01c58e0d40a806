/** <tg-announcer>: reads out what changes elsewhere on the page, for those who cannot see it. */

import { ClientElement } from "./client-element.js";
import { make } from "./markup.js";

class Announcer extends ClientElement {
  #polite = make("p", { "aria-live": "polite" });
  #urgent = make("p", { "aria-live": "assertive" });

  build() {
    this.append(this.#polite, this.#urgent);
    this.classList.add("read-out-only");
    this.client.addEventListener("announce", (event) => {
      const { text, urgent } = /** @type {CustomEvent} */ (event).detail;
      (urgent ? this.#urgent : this.#polite).textContent = text;
    });
  }
}

customElements.define("tg-announcer", Announcer);
