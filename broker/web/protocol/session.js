/**
 * The client's session as a reducer: (state, event) -> [state, commands]. It knows no socket, no page and no clock;
 * whoever runs it performs the commands and brings back what comes of them as events.
 *
 * @import {EdgeFrame, Error as ErrorFrame} from "./frames.js"
 * @import {Event, Session, Step} from "./state.js"
 */

import { mayReconnect } from "./backoff.js";
import * as calls from "./calls.js";
import * as conversations from "./conversations.js";
import * as invitations from "./invitations.js";
import { problemOf, withProblem } from "./problems.js";
import * as sharing from "./sharing.js";
import * as signIns from "./sign-ins.js";
import { announce, send } from "./state.js";
import * as stopping from "./stopping.js";
import { CONNECTION_LOST, END_REASONS, PROGRAM_REFUSED } from "./words.js";

const CLIENT = { name: "turngate-web", version: "0.1.0" };

/** @type {{[E in Event["event"]]: (state: Session, event: Extract<Event, {event: E}>) => Step}} */
const EVENTS = {
  "link.opened": (state) => [state, [send({ type: "hello", client: CLIENT })]],
  "link.lost": linkLost,
  "link.signed_out": (state) => signedOut(state, state.farewell),
  "link.retry": (state) => (state.link === "waiting" || state.link === "ended" ? reconnect(state, 0) : [state, []]),
  "link.return": (state) => (state.link === "stopped" ? reconnect(state, 0) : [state, []]),
  frame: (state, { frame }) => received(state, frame),
  "problem.raise": (state, { sentence, code }) => [withProblem(state, { sentence, code, decision_id: null }), []],
  "problem.dismiss": (state, { key }) => [
    { ...state, problems: state.problems.filter((problem) => problem.key !== key) },
    [],
  ],
  "program.dismiss": (state) => [{ ...state, program: null }, []],
  "presence.choose": (state, { status }) => [
    { ...state, status },
    state.link === "online" ? [send({ type: "presence.set", status })] : [],
  ],
  "chat.select": conversations.select,
  "chat.write": conversations.write,
  "invitation.ask": invitations.ask,
  "invitation.again": invitations.askAgain,
  "invitation.withdraw": (state, { invitation_id }) => [state, [send({ type: "invitation.revoke", invitation_id })]],
  "invitation.put_away": (state) => [{ ...state, fresh_invitation: null, invitation_problem: null }, []],
  "sign_ins.ask": (state, { ref }) => [state, [send({ type: "sign_ins.list", ref })]],
  "sign_ins.end": (state, { ref, sign_in_id }) => [state, [send({ type: "sign_in.revoke", ref, sign_in_id })]],
  "sign_ins.end_others": (state, { ref }) => [state, [send({ type: "sign_in.revoke_others", ref })]],
  "guest.admit": (state, { guest }) => [state, [send({ type: "lobby.admit", guest })]],
  "guest.admit_all": (state, { guests }) => [state, [send({ type: "lobby.admit_all", guests })]],
  "guest.refuse": (state, { guest }) => [state, [send({ type: "lobby.refuse", guest })]],
  "call.start": calls.start,
  "call.answer": calls.answer,
  "call.leave": calls.leave,
  "call.dismiss": calls.dismiss,
  "call.mute": calls.mute,
  "call.camera": calls.camera,
  "screen.start": sharing.start,
  "screen.ready": sharing.ready,
  "screen.failed": sharing.failed,
  "screen.stop": sharing.stop,
  "devices.ready": calls.devicesReady,
  "media.described": calls.mediaSays,
  "media.gathered": calls.mediaSays,
  "media.connected": calls.mediaSays,
  "media.interrupted": calls.mediaSays,
  "media.failed": calls.mediaSays,
};

/** @type {{[T in EdgeFrame["type"]]: (state: Session, frame: Extract<EdgeFrame, {type: T}>) => Step}} */
const FRAMES = {
  welcome: (state, { you, contacts, invitations: offered, lobby }) => {
    const next = conversations.withContacts(online(state), contacts);
    return restored({ ...next, you, invitations: offered, lobby });
  },
  "guest.welcome": (state, { you, notice, host = null }) => {
    const next = conversations.withContacts(online(state), host ? [host] : []);
    const visit = { place: host ? /** @type {const} */ ("inside") : /** @type {const} */ ("lobby"), notice, host };
    return restored({ ...next, you, visit, selected: host?.party ?? null });
  },
  "presence.changed": (state, { contact }) => [
    invitations.leftLobby(conversations.withContact(state, contact), contact.party),
    [],
  ],
  "presence.status": (state, { party, status }) => [conversations.withStatus(state, party, status), []],
  "contact.gone": (state, { party }) => [conversations.withoutContact(state, party), []],
  "chat.accepted": (state, frame) => [conversations.accepted(state, frame), []],
  "chat.message": conversations.received,
  "invitation.created": invitations.created,
  "invitation.changed": (state, { invitation }) => [invitations.changed(state, invitation), []],
  "invitation.gone": (state, { invitation_id }) => [invitations.gone(state, invitation_id), []],
  sign_ins: signIns.told,
  "lobby.waiting": invitations.waiting,
  "lobby.left": (state, { guest }) => [invitations.leftLobby(state, guest), []],
  "lobby.admitted": (state, { host }) => {
    if (state.visit === null) return [state, []];
    const next = conversations.withContact(state, host);
    const told = announce(`${host.name} has let you in.`, true);
    return [{ ...next, selected: host.party, visit: { ...state.visit, place: "inside", host } }, [told]];
  },
  "lobby.refused": (state) => {
    if (state.visit === null) return [state, []];
    const farewell = "The host has ended your visit, or did not let you in.";
    return [{ ...state, farewell, visit: { ...state.visit, place: "refused" } }, [announce(farewell, true)]];
  },
  "call.created": calls.created,
  "call.ring": calls.rings,
  "call.accepted": calls.accepted,
  "call.ended": calls.ended,
  "call.sharing": sharing.began,
  "call.share_ended": sharing.ended,
  "call.offer": (state, { call_id, sdp }) =>
    calls.toMedia(state, call_id, { command: "media.describe", kind: "offer", sdp }),
  "call.answer": (state, { call_id, sdp }) =>
    calls.toMedia(state, call_id, { command: "media.describe", kind: "answer", sdp }),
  "call.candidate": (state, { call_id, candidate, mid }) =>
    calls.toMedia(state, call_id, { command: "media.candidate", candidate, mid }),
  "media.limit": calls.limited,
  "client.refused": (state, { message, link }) => [
    { ...state, program: { standing: "refused", message, link }, farewell: PROGRAM_REFUSED },
    [announce(message, true)],
  ],
  "client.outdated": (state, { message, link }) => [
    { ...state, program: { standing: "outdated", message, link } },
    [announce(message)],
  ],
  error: failed,
};

/**
 * The one way the session changes.
 * @param {Session} state
 * @param {Event} event
 * @returns {Step}
 */
export function reduce(state, event) {
  // The table pairs each event with the handler of exactly its type, which the checker cannot follow through a lookup.
  return EVENTS[event.event](state, /** @type {never} */ (event));
}

/**
 * @param {Session} state
 * @param {EdgeFrame} frame
 * @returns {Step}
 */
function received(state, frame) {
  // A newer edge may say what this client has no ears for.
  if (!Object.hasOwn(FRAMES, frame.type)) return [state, []];
  return FRAMES[frame.type](state, /** @type {never} */ (frame));
}

/**
 * @param {Session} state
 * @returns {Session}
 */
function online(state) {
  return { ...state, link: "online", lost_links: 0, farewell: null, signed_out: false, program: null, stop: null };
}

/**
 * Connected, perhaps again: what was said and not answered is said once more.
 * @param {Session} state
 * @returns {Step}
 */
function restored(state) {
  const commands = conversations.resend(state);
  if (state.you?.status !== state.status) commands.unshift(send({ type: "presence.set", status: state.status }));
  return [state, commands];
}

/**
 * @param {Session} state
 * @param {number} lost_links
 * @returns {Step}
 */
function reconnect(state, lost_links) {
  return [{ ...state, link: lost_links === 0 ? "connecting" : "waiting", lost_links }, [{ command: "connect", lost_links }]];
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "link.lost"}>} event
 * @returns {Step}
 */
function linkLost(state, { code, now_ms }) {
  const stop = stopping.stopBehind(state, code);
  const [cut, commands] = calls.cutOff(state, stop === null ? CONNECTION_LOST : END_REASONS.emergency_stop);
  const quiet = { ...cut, invitation_ref: null };
  if (state.visit?.place === "refused") return [{ ...quiet, link: "ended" }, commands];
  if (stop !== null) {
    const [next, more] = stopping.stayAway(quiet, stop, now_ms);
    return [next, [...commands, ...more]];
  }
  if (code === 4401) {
    const [next, more] = signedOut(quiet, state.farewell);
    return [next, [...commands, ...more]];
  }
  if (!mayReconnect(code)) {
    return [{ ...quiet, link: "ended", farewell: state.farewell ?? CONNECTION_LOST }, commands];
  }
  const [next, more] = reconnect(quiet, state.lost_links + 1);
  return [{ ...next, farewell: null }, [...commands, ...more]];
}

/**
 * @param {Session} state
 * @param {string | null} farewell
 * @returns {Step}
 */
function signedOut(state, farewell) {
  const [next, commands] = calls.cutOff(state, CONNECTION_LOST);
  const why = stopping.farewellOfStop(state) ?? farewell ?? "You are no longer signed in.";
  return [{ ...next, link: "ended", signed_out: true, farewell: why }, commands];
}

/**
 * An error finds what it is about: a message, an invitation, a call, or only the person.
 * @param {Session} state
 * @param {ErrorFrame} frame
 * @returns {Step}
 */
function failed(state, frame) {
  // The error that closes says less than the frame before it.
  if (frame.code === "CLIENT_REFUSED" && state.program !== null) return [state, []];
  if (frame.code === "SIGNED_OUT" && state.visit?.place === "refused") return [state, []];
  const problem = problemOf(state, frame);
  if (frame.ref) {
    const unsent = conversations.failed(state, frame.ref, problem);
    if (unsent !== null) return [unsent, [announce(`Message not sent: ${problem.sentence}`, true)]];
    if (frame.ref === state.invitation_ref) {
      return [invitations.refused(state, problem), [announce(problem.sentence, true)]];
    }
  }
  const step = calls.refused(state, frame, problem);
  if (step !== null) return step;
  // If the edge closes the link next, this is why.
  return [{ ...withProblem(state, problem), farewell: frame.message, stop: stopping.stopIn(frame) }, []];
}
