/** <tg-profile>: who one is, one's status, and the way out. Fires `sign-out`. */

import { ClientElement } from "./client-element.js";
import { button, make, setText } from "./markup.js";

class Profile extends ClientElement {
  #name = make("strong");
  #status = make("select", { id: "own-status", onchange: () => this.#choose() },
    make("option", { value: "available" }, "Available"),
    make("option", { value: "away" }, "Away"),
    make("option", { value: "busy" }, "Busy"));

  build() {
    this.append(
      this.#name,
      make("label", { for: "own-status", class: "read-out-only" }, "Your status"),
      this.#status,
      button("Sign out", () => this.dispatchEvent(new CustomEvent("sign-out"))),
    );
  }

  /** @param {import("../protocol/state.js").Session} state */
  show(state) {
    setText(this.#name, state.you?.name ?? "");
    this.#status.value = state.status;
    this.#status.disabled = state.link !== "online";
  }

  #choose() {
    const status = /** @type {import("../protocol/frames.js").Status} */ (this.#status.value);
    this.client.dispatch({ event: "presence.choose", status });
  }
}

customElements.define("tg-profile", Profile);
