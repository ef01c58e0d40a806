/** <tg-program>: that this program is out of date, or not allowed here, and where another one is. */

import { PROGRAM_REFUSED, safeLink } from "../protocol/words.js";
import { ClientElement } from "./client-element.js";
import { button, make, setText } from "./markup.js";

class Program extends ClientElement {
  /** @type {import("../protocol/state.js").Program | null} */
  #shown = null;
  #heading = make("h1", { tabindex: "-1" }, PROGRAM_REFUSED);
  #message = make("p");
  #link = make("a", { target: "_blank", rel: "noopener noreferrer" });
  #dismiss = button("Dismiss", () => this.client.dispatch({ event: "program.dismiss" }), { class: "small" });

  build() {
    this.append(make("div", {}, this.#heading, this.#message, this.#link, this.#dismiss));
  }

  /** @param {import("../protocol/state.js").Session} state */
  show({ program }) {
    const refused = program?.standing === "refused";
    const news = program !== this.#shown;
    this.#shown = program;
    this.hidden = program === null;
    if (program === null) return;
    this.dataset["standing"] = program.standing;
    this.#heading.hidden = !refused;
    this.#dismiss.hidden = refused;
    setText(this.#message, program.message);
    this.#showLink(safeLink(program.link));
    if (refused && news) this.#heading.focus();
  }

  /** @param {string | null} address */
  #showLink(address) {
    this.#link.hidden = address === null;
    if (address === null) return this.#link.removeAttribute("href");
    this.#link.setAttribute("href", address);
    setText(this.#link, address);
  }
}

customElements.define("tg-program", Program);
