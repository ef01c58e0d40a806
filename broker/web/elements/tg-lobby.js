/**
 * <tg-lobby>: guests who wait to be let in.
 *
 * @import {Session} from "../protocol/state.js"
 * @import {WaitingGuest} from "../protocol/frames.js"
 */

import { ClientElement } from "./client-element.js";
import { sideBadge } from "./contact-words.js";
import { button, make, showList } from "./markup.js";

class Lobby extends ClientElement {
  #list = make("ul", { class: "plain" });

  build() {
    this.append(make("h2", {}, "Waiting in the lobby"), this.#list);
  }

  /** @param {Session} state */
  show(state) {
    this.hidden = state.lobby.length === 0;
    showList(this.#list, state.lobby, ({ guest }) => guest.party, (waiting) => this.#row(waiting));
  }

  /** @param {WaitingGuest} waiting */
  #row({ guest }) {
    const admit = () => this.client.dispatch({ event: "guest.admit", guest: guest.party });
    const refuse = () => this.client.dispatch({ event: "guest.refuse", guest: guest.party });
    return make("li", {},
      make("span", { class: "who" }, make("span", { class: "name" }, guest.name), " ", sideBadge(guest)),
      button("Let in", admit, { class: "primary", "aria-label": `Let in ${guest.name}` }),
      button("Refuse", refuse, { "aria-label": `Refuse ${guest.name}` }),
    );
  }
}

customElements.define("tg-lobby", Lobby);
