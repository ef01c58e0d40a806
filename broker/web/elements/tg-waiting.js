/** <tg-waiting>: the guest's side of the lobby. */

import { ClientElement } from "./client-element.js";
import { make, setText } from "./markup.js";

const STOPPED = "You are not in the lobby any more. Above you see when this page connects again.";

class Waiting extends ClientElement {
  #title = make("h1", { tabindex: -1 });
  #words = make("p", { role: "status" });
  #notice = make("p", { class: "notice" });

  build() {
    this.append(make("div", { class: "card" }, this.#title, this.#words, this.#notice));
  }

  /** @param {import("../protocol/state.js").Session} state */
  show({ visit, link, you }) {
    setText(this.#title, link === "stopped" ? "Stopped for now" : visit === null ? "Connecting…" : "Please wait");
    const who = you === null ? "You are" : `${you.name}, you are`;
    const waiting = `${who} in the lobby. The person who invited you has been told, and lets you in when they are ready.`;
    const lost = link === "waiting" ? "The connection was lost. Trying again…" : link === "stopped" ? STOPPED : null;
    setText(this.#words, lost ?? (visit === null ? "" : waiting));
    setText(this.#notice, visit?.notice ?? "");
    this.#notice.hidden = !visit?.notice;
  }
}

customElements.define("tg-waiting", Waiting);
