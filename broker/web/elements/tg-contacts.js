/**
 * <tg-contacts>: everybody this person may see, outsiders marked in words, with status and unread messages.
 *
 * @import {Conversation, Session} from "../protocol/state.js"
 */

import { ClientElement } from "./client-element.js";
import { invitedAs, sideBadge, statusText } from "./contact-words.js";
import { make, showList } from "./markup.js";

class Contacts extends ClientElement {
  #list = make("ul", { class: "plain" });
  #empty = make("p", { class: "soft" }, "Nobody you may talk to is here yet. Invite a guest below.");

  build() {
    this.append(make("h2", {}, "Contacts"), this.#empty, this.#list);
  }

  /** @param {Session} state */
  show(state) {
    const conversations = Object.values(state.conversations).sort(byPresenceAndName);
    this.#empty.hidden = conversations.length > 0;
    showList(this.#list, conversations, ({ contact }) => contact.party, (conversation) => this.#row(conversation));
    for (const row of this.#list.querySelectorAll("button")) {
      row.setAttribute("aria-current", String(row.parentElement?.dataset["key"] === state.selected));
    }
  }

  /** @param {Conversation} conversation */
  #row({ contact, reachable, unread }) {
    const select = () => this.client.dispatch({ event: "chat.select", party: contact.party });
    return make("li", {},
      make("button", { type: "button", class: "row", onclick: select },
        make("span", { class: "who" },
          make("span", { class: "name" }, contact.name),
          invitedAs(contact),
          reachable ? statusText(contact.status) : make("span", { class: "status offline" }, "Gone")),
        unread > 0 ? make("span", { class: "badge unread" }, `${unread} new`) : null,
        sideBadge(contact),
      ));
  }
}

/**
 * @param {Conversation} a
 * @param {Conversation} b
 */
function byPresenceAndName(a, b) {
  const offline = Number(a.contact.status === "offline") - Number(b.contact.status === "offline");
  return offline || a.contact.name.localeCompare(b.contact.name) || (a.contact.party < b.contact.party ? -1 : 1);
}

customElements.define("tg-contacts", Contacts);
