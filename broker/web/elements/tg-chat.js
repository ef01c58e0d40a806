/**
 * <tg-chat>: the open conversation, its messages, and the way to write or call.
 *
 * @import {Conversation, Message, Session} from "../protocol/state.js"
 */

import { isLive } from "../protocol/calls.js";
import { unread } from "../protocol/conversations.js";
import { ClientElement } from "./client-element.js";
import { invitedAs, sideBadge, statusText } from "./contact-words.js";
import { button, make, setText, showList } from "./markup.js";
import { problemText } from "./problem-text.js";

const DELIVERY = { received: "", sending: "Sending…", accepted: "Sent", failed: "Not sent" };
/** Close enough to the end to follow new messages, in CSS pixels. */
const FOLLOWING_PX = 80;

class Chat extends ClientElement {
  #empty = make("p", { class: "soft empty" }, "Choose somebody to talk to.");
  #title = make("h2", { tabindex: -1 });
  #actions = make("div", { class: "actions" });
  #back = button("Contacts", () => this.client.dispatch({ event: "chat.select", party: null }), { class: "back" });
  #log = make("ol", { class: "plain log", role: "log", tabindex: 0 });
  #text = make("textarea", { id: "chat-text", rows: 2, maxlength: 16000, onkeydown: (event) => this.#key(event) });
  #send = make("button", { type: "submit", class: "primary" }, "Send");
  #conversation = make("section", { class: "conversation" });
  /** @type {Conversation | null} */
  #shown = null;
  #audioCall = button("Call", () => this.#call(false));
  #videoCall = button("Video call", () => this.#call(true));
  #showOut = button("Show out", () => this.#refuse());
  /** What was typed and not sent, by party. @type {Map<string, string>} */
  #drafts = new Map();

  build() {
    this.#actions.append(this.#audioCall, this.#videoCall, this.#showOut);
    this.#conversation.append(
      make("header", {}, this.#back, this.#title, this.#actions),
      this.#log,
      make("form", { onsubmit: (event) => this.#write(event) },
        make("label", { for: "chat-text", class: "read-out-only" }, "Message"),
        this.#text,
        this.#send,
        make("p", { class: "soft hint" }, "Enter sends, Shift and Enter starts a new line.")),
    );
    this.append(this.#empty, this.#conversation);
  }

  /** @param {Session} state */
  show(state) {
    const conversation = (state.selected && state.conversations[state.selected]) || null;
    this.#empty.hidden = conversation !== null;
    this.#conversation.hidden = conversation === null;
    this.#back.hidden = state.visit !== null;
    const elsewhere = [state.lobby.length > 0 && `${state.lobby.length} waiting`, unread(state) > 0 && `${unread(state)} new`];
    setText(this.#back, ["Contacts", ...elsewhere.filter(Boolean)].join(", "));
    if (conversation === null) {
      this.#shown = null;
      return;
    }
    const busy = state.link !== "online" || isLive(state.call) || !conversation.reachable;
    for (const call of [this.#audioCall, this.#videoCall]) {
      call.disabled = busy || conversation.contact.status === "offline";
    }
    this.#showOut.hidden = state.visit !== null || conversation.contact.kind !== "guest" || !conversation.reachable;
    // A stop has ended the sign-in too: what was written meanwhile would be lost with it.
    this.#send.disabled = !conversation.reachable || state.link === "stopped";
    if (conversation !== this.#shown) this.#showConversation(conversation);
  }

  /** @param {Conversation} conversation */
  #showConversation(conversation) {
    const { contact, messages, reachable } = conversation;
    const another = this.#shown?.contact.party !== contact.party;
    if (another) {
      if (this.#shown) this.#drafts.set(this.#shown.contact.party, this.#text.value);
      this.#text.value = this.#drafts.get(contact.party) ?? "";
    }
    this.#shown = conversation;
    const parts = [make("span", { class: "name" }, contact.name), sideBadge(contact), invitedAs(contact),
      reachable ? statusText(contact.status) : make("span", { class: "status offline" }, "Gone")];
    this.#title.replaceChildren(...parts.filter((part) => part !== null));
    this.#log.setAttribute("aria-label", `Messages with ${contact.name}`);
    const log = this.#log;
    const following = another || log.scrollHeight - log.scrollTop - log.clientHeight < FOLLOWING_PX;
    showList(log, messages, (message) => message.key, (message) => row(message, contact.name));
    if (following) log.scrollTop = log.scrollHeight;
    if (another && messages.length === 0) this.#text.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#text.form?.requestSubmit();
  }

  /** @param {SubmitEvent} event */
  #write(event) {
    event.preventDefault();
    const text = this.#text.value;
    if (this.#shown === null || this.#send.disabled || text.trim() === "") return;
    this.#text.value = "";
    const to = this.#shown.contact.party;
    this.client.dispatch({ event: "chat.write", ref: crypto.randomUUID(), to, text, now_ms: Date.now() });
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** @param {boolean} video */
  #call(video) {
    if (this.#shown === null) return;
    this.client.dispatch({ event: "call.start", ref: crypto.randomUUID(), party: this.#shown.contact.party, video });
  }

  #refuse() {
    if (this.#shown !== null) this.client.dispatch({ event: "guest.refuse", guest: this.#shown.contact.party });
  }
}

/**
 * @param {Message} message
 * @param {string} name
 */
function row(message, name) {
  const time = shownTime(new Date(message.at_ms));
  const delivery = DELIVERY[message.delivery];
  return make("li", { class: message.direction, "data-delivery": message.delivery },
    make("span", { class: "read-out-only" }, message.direction === "out" ? "You: " : `${name}: `),
    make("p", { class: "text", dir: "auto" }, message.text),
    make("p", { class: "soft meta" }, delivery ? `${time} · ${delivery}` : time),
    message.problem ? problemText(message.problem) : null,
  );
}

/**
 * The time of day, with the date when it is not today's.
 * @param {Date} at
 */
function shownTime(at) {
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const today = at.toDateString() === new Date().toDateString();
  return today ? time : `${at.toLocaleDateString([], { dateStyle: "medium" })}, ${time}`;
}

customElements.define("tg-chat", Chat);
