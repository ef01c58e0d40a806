/** <tg-problems>: what went wrong and belongs to nothing else on the page. */

import { ClientElement } from "./client-element.js";
import { button, make, showList } from "./markup.js";
import { problemText } from "./problem-text.js";

class Problems extends ClientElement {
  #list = make("ul", { role: "alert", class: "plain" });

  build() {
    this.append(this.#list);
  }

  /** @param {import("../protocol/state.js").Session} state */
  show(state) {
    showList(this.#list, state.problems, (problem) => problem.key, (problem) => {
      const dismiss = () => this.client.dispatch({ event: "problem.dismiss", key: problem.key });
      return make("li", {}, problemText(problem), button("Dismiss", dismiss, { class: "small" }));
    });
  }
}

customElements.define("tg-problems", Problems);
