/** <tg-connection>: whether the page is connected to the edge, in words. */

import { ClientElement } from "./client-element.js";
import { button, make, setText } from "./markup.js";

const WORDS = {
  connecting: "Connecting…",
  online: "Connected",
  waiting: "Connection lost. Trying again…",
  stopped: "Stopped by the organisation",
  ended: "Not connected",
};

class Connection extends ClientElement {
  #words = make("span", { role: "status" });
  #retry = button("Try now", () => this.client.dispatch({ event: "link.retry" }), { class: "small" });

  build() {
    this.append(this.#words, this.#retry);
    window.addEventListener("online", () => this.client.dispatch({ event: "link.retry" }));
  }

  /** @param {import("../protocol/state.js").Session} state */
  show(state) {
    this.setAttribute("data-link", state.link);
    const reason = state.link === "ended" ? state.farewell : null;
    setText(this.#words, reason ?? WORDS[state.link]);
    this.#retry.hidden = state.link !== "waiting" && state.link !== "ended";
  }
}

customElements.define("tg-connection", Connection);
