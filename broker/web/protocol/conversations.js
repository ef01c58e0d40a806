/**
 * Contacts and the conversations with them.
 *
 * @import {ChatAccepted, ChatMessage, Contact} from "./frames.js"
 * @import {Command, Conversation, Event, Message, Problem, Session, Step} from "./state.js"
 */

import { announce, send } from "./state.js";
import { nameWithSide } from "./words.js";

/** Older messages leave the page's memory; the edge's record keeps them. */
const MESSAGES_KEPT = 1000;

/**
 * @param {Session} state
 * @param {Conversation} conversation
 * @returns {Session}
 */
function withConversation(state, conversation) {
  const conversations = { ...state.conversations, [conversation.contact.party]: conversation };
  return { ...state, conversations };
}

/**
 * The contact is there, new or known.
 * @param {Session} state
 * @param {Contact} contact
 * @returns {Session}
 */
export function withContact(state, contact) {
  const known = state.conversations[contact.party];
  const conversation = known ?? { contact, reachable: true, messages: [], unread: 0 };
  return withConversation(state, { ...conversation, contact, reachable: true });
}

/**
 * These are all the contacts there are: others stay only while there is something of theirs to read.
 * @param {Session} state
 * @param {Contact[]} contacts
 * @returns {Session}
 */
export function withContacts(state, contacts) {
  const present = new Set(contacts.map((contact) => contact.party));
  const gone = Object.keys(state.conversations).filter((party) => !present.has(party));
  return contacts.reduce(withContact, gone.reduce(withoutContact, state));
}

/**
 * @param {Session} state
 * @param {string} party
 * @returns {Session}
 */
export function withoutContact(state, party) {
  const known = state.conversations[party];
  if (known === undefined) return state;
  if (known.messages.length > 0 || state.selected === party) {
    const contact = { ...known.contact, status: /** @type {const} */ ("offline") };
    return withConversation(state, { ...known, contact, reachable: false });
  }
  const conversations = { ...state.conversations };
  delete conversations[party];
  return { ...state, conversations };
}

/**
 * @param {Session} state
 * @param {string} party
 * @param {Contact["status"]} status
 * @returns {Session}
 */
export function withStatus(state, party, status) {
  const known = state.conversations[party];
  if (known === undefined) return state;
  return withConversation(state, { ...known, contact: { ...known.contact, status } });
}

/**
 * Messages nobody has looked at yet.
 * @param {Session} state
 */
export function unread(state) {
  return Object.values(state.conversations).reduce((total, conversation) => total + conversation.unread, 0);
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "chat.select"}>} event
 * @returns {Step}
 */
export function select(state, { party }) {
  const selected = party !== null && party in state.conversations ? party : null;
  const known = selected === null ? undefined : state.conversations[selected];
  const next = known === undefined ? state : withConversation(state, { ...known, unread: 0 });
  return [{ ...next, selected }, []];
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "chat.write"}>} event
 * @returns {Step}
 */
export function write(state, { ref, to, text, now_ms }) {
  const known = state.conversations[to];
  if (known === undefined || text.trim() === "") return [state, []];
  /** @type {Message} */
  const message = { key: ref, direction: "out", text, at_ms: now_ms, delivery: "sending", problem: null };
  const next = withConversation(state, { ...known, messages: [...known.messages, message].slice(-MESSAGES_KEPT) });
  // Written while the link is down, it is sent when the link is back.
  return [next, state.link === "online" ? [send({ type: "chat.send", ref, to, text })] : []];
}

/**
 * Messages the edge has not answered, again with the same refs: it answers a known ref with the same message id.
 * @param {Session} state
 * @returns {Command[]}
 */
export function resend(state) {
  return Object.values(state.conversations).flatMap(({ contact, messages }) =>
    messages
      .filter((message) => message.delivery === "sending")
      .map(({ key, text }) => send({ type: "chat.send", ref: key, to: contact.party, text })),
  );
}

/**
 * @param {Session} state
 * @param {ChatAccepted} frame
 * @returns {Session}
 */
export function accepted(state, frame) {
  return settled(state, frame.ref, { delivery: "accepted", at_ms: frame.sent_at_ms }) ?? state;
}

/**
 * @param {Session} state
 * @param {string} ref
 * @param {Problem} problem
 * @returns {Session | null} null when no message waits under this ref
 */
export function failed(state, ref, problem) {
  return settled(state, ref, { delivery: "failed", problem });
}

/**
 * @param {Session} state
 * @param {string} ref
 * @param {Partial<Message>} outcome
 * @returns {Session | null}
 */
function settled(state, ref, outcome) {
  for (const conversation of Object.values(state.conversations)) {
    const waits = conversation.messages.some(({ key, delivery }) => key === ref && delivery === "sending");
    if (!waits) continue;
    const messages = conversation.messages.map((m) => (m.key === ref ? { ...m, ...outcome } : m));
    return withConversation(state, { ...conversation, messages });
  }
  return null;
}

/**
 * A message came in, perhaps not for the first time: it is answered each time and shown once.
 * @param {Session} state
 * @param {ChatMessage} frame
 * @returns {Step}
 */
export function received(state, frame) {
  const receipt = send({ type: "chat.received", message_id: frame.message_id });
  const { party } = frame.sender;
  const before = state.conversations[party] ?? { contact: frame.sender, reachable: true, messages: [], unread: 0 };
  if (before.messages.some((message) => message.key === frame.message_id)) return [state, [receipt]];
  /** @type {Message} */
  const message = {
    key: frame.message_id,
    direction: "in",
    text: frame.text,
    at_ms: frame.sent_at_ms,
    delivery: "received",
    problem: null,
  };
  const messages = [...before.messages, message].slice(-MESSAGES_KEPT);
  const unread = state.selected === party ? 0 : before.unread + 1;
  const next = withConversation(state, { ...before, messages, unread });
  // The open conversation is a live region of its own.
  const told = state.selected === party ? [] : [announce(`New message from ${nameWithSide(frame.sender)}.`)];
  return [next, [receipt, ...told]];
}
