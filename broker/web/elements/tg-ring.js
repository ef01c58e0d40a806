/** <tg-ring>: somebody calls: answer with or without camera, or decline. */

import { ClientElement } from "./client-element.js";
import { invitedAs, sideBadge } from "./contact-words.js";
import { button, make, setText } from "./markup.js";

class Ring extends ClientElement {
  // The heading takes the focus, so that a key meant for a message being written answers no call.
  #title = make("h2", { tabindex: -1, autofocus: true });
  #who = make("p", { class: "who" });
  #video = button("Answer with camera", () => this.client.dispatch({ event: "call.answer", video: true }), { class: "primary" });
  #audio = button("Answer with sound only", () => this.client.dispatch({ event: "call.answer", video: false }), { class: "primary" });
  #dialog = make("dialog", { "aria-labelledby": "ring-title", "aria-describedby": "ring-who", onclose: () => this.#closed() });
  #attempt = 0;

  build() {
    this.#title.id = "ring-title";
    this.#who.id = "ring-who";
    this.#dialog.append(this.#title, this.#who,
      make("div", { class: "controls" }, this.#video, this.#audio, button("Decline", () => this.#decline(), { class: "danger" })));
    this.append(this.#dialog);
  }

  /** @param {import("../protocol/state.js").Session} state */
  show({ call }) {
    if (call?.phase !== "incoming") {
      if (this.#dialog.open) this.#dialog.close();
      return;
    }
    const video = call.media.includes("video");
    setText(this.#title, video ? "Incoming video call" : "Incoming call");
    setText(this.#audio, video ? "Answer with sound only" : "Answer");
    this.#video.hidden = !video;
    if (call.attempt !== this.#attempt) {
      this.#attempt = call.attempt;
      const parts = [make("strong", { class: "name" }, call.peer.name), " ", sideBadge(call.peer), " ", invitedAs(call.peer)];
      this.#who.replaceChildren(...parts.filter((part) => part !== null));
    }
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  /** Closed by the Escape key while it still rings: that is a no. */
  #closed() {
    if (this.client.state.call?.phase === "incoming") this.#decline();
  }

  #decline() {
    this.client.dispatch({ event: "call.leave" });
  }
}

customElements.define("tg-ring", Ring);
