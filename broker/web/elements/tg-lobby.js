/**
 * <tg-lobby>: guests who wait to be let in, each under the name they gave and beside whom the host had invited, what for.
 *
 * @import {Session} from "../protocol/state.js"
 * @import {WaitingGuest} from "../protocol/frames.js"
 */

import { ClientElement } from "./client-element.js";
import { sideBadge } from "./contact-words.js";
import { button, make, showList } from "./markup.js";

/** As many as one frame takes. */
const MAX_AT_ONCE = 64;

class Lobby extends ClientElement {
  #list = make("ul", { class: "plain" });
  #all = button("Let all in", () => this.#admitAll());
  /** @type {string[]} */
  #shown = [];

  build() {
    this.append(make("header", {}, make("h2", {}, "Waiting in the lobby"), this.#all), this.#list);
  }

  /** @param {Session} state */
  show(state) {
    this.hidden = state.lobby.length === 0;
    this.#shown = state.lobby.map(({ guest }) => guest.party);
    this.#all.hidden = state.lobby.length < 2;
    showList(this.#list, state.lobby, ({ guest }) => guest.party, (waiting) => this.#row(waiting));
  }

  /** @param {WaitingGuest} waiting */
  #row({ guest, guest_email = null, purpose = null }) {
    const admit = () => this.client.dispatch({ event: "guest.admit", guest: guest.party });
    const refuse = () => this.client.dispatch({ event: "guest.refuse", guest: guest.party });
    return make("li", {},
      make("span", { class: "who" }, make("span", { class: "name" }, guest.name), " ", sideBadge(guest)),
      make("span", { class: "soft invited" }, "You invited ", words(guest.invited_as ?? "somebody"),
        ...(guest_email === null ? [] : [", ", words(guest_email)])),
      purpose === null ? null : make("span", { class: "soft invited" }, "For: ", words(purpose)),
      button("Let in", admit, { class: "primary", "aria-label": `Let in ${guest.name}` }),
      button("Refuse", refuse, { "aria-label": `Refuse ${guest.name}` }),
    );
  }

  /** Those who can be seen here: whoever comes in this moment is not among them. */
  #admitAll() {
    this.client.dispatch({ event: "guest.admit_all", guests: this.#shown.slice(0, MAX_AT_ONCE) });
  }
}

/**
 * Somebody's own words, which turn nothing around them.
 * @param {string} text
 */
function words(text) {
  return make("span", { class: "name" }, text);
}

customElements.define("tg-lobby", Lobby);
