/**
 * Sharing: one party of the call shows its screen. First the person chooses what, then the edge is asked, then the
 * media offer it; each of the three can end it.
 *
 * @import {CallShareEnded, CallSharing} from "./frames.js"
 * @import {Call, Command, Event, Problem, Session, Step} from "./state.js"
 */

import { announce, send } from "./state.js";
import { SHARE_END_REASONS, nameWithSide } from "./words.js";

/** @type {Pick<Call, "sharing" | "screen" | "share_trouble">} */
export const NOT_SHARING = { sharing: null, screen: "none", share_trouble: null };

/** Refusals of a screen that are not policy's. */
const NOT_SHARED_NOW = new Set(["SHARE_BUSY", "BANDWIDTH_EXCEEDED", "AUDIT_UNAVAILABLE", "EMERGENCY_STOP"]);

/**
 * The person wants to show their screen: the browser asks them which.
 * @param {Session} state
 * @returns {Step}
 */
export function start(state) {
  const call = state.call;
  if (call?.phase !== "active" || call.screen !== "none" || call.sharing !== null) return [state, []];
  return [withCall(state, call, { screen: "choosing", share_trouble: null }), [{ command: "screen.acquire", attempt: call.attempt }]];
}

/**
 * They have chosen.
 * @param {Session} state
 * @param {Extract<Event, {event: "screen.ready"}>} event
 * @returns {Step}
 */
export function ready(state, { attempt }) {
  const call = state.call;
  if (call?.attempt !== attempt || call.screen !== "choosing" || call.call_id === null) return [state, []];
  return [withCall(state, call, { screen: "asking" }), [send({ type: "call.share", call_id: call.call_id })]];
}

/**
 * There is nothing to show, or it could not be offered. The sentence says why, null where the person knows.
 * @param {Session} state
 * @param {Extract<Event, {event: "screen.failed"}>} event
 * @returns {Step}
 */
export function failed(state, { attempt, sentence }) {
  const call = state.call;
  if (call?.attempt !== attempt || call.screen === "none") return [state, []];
  const [next, commands] = stop(state);
  const trouble = sentence === null ? null : { key: "share", sentence, code: "SCREEN", decision_id: null };
  const told = sentence === null ? [] : [announce(sentence, true)];
  return [next.call === null ? next : withCall(next, next.call, { share_trouble: trouble }), [...commands, ...told]];
}

/**
 * The person, or their browser, ends it.
 * @param {Session} state
 * @returns {Step}
 */
export function stop(state) {
  const call = state.call;
  if (call === null || call.screen === "none") return [state, []];
  /** @type {Command[]} */
  const commands = [{ command: "screen.release" }];
  const asked = call.screen === "asking" || call.screen === "shown";
  if (asked && call.call_id !== null) commands.push(send({ type: "call.unshare", call_id: call.call_id }));
  return [withCall(state, call, { screen: "none" }), commands];
}

/**
 * @param {Session} state
 * @param {CallSharing} frame
 * @returns {Step}
 */
export function began(state, { call_id, party }) {
  const call = state.call;
  if (call?.call_id !== call_id) return [state, []];
  const shared = withCall(state, call, { sharing: party, share_trouble: null });
  if (party !== state.you?.party) return [shared, [announce(`${nameWithSide(call.peer)} shows you their screen.`)]];
  // Given up meanwhile. If the edge knows that already, it says so.
  if (call.screen !== "asking") return [shared, [send({ type: "call.unshare", call_id })]];
  return [
    withCall(shared, call, { sharing: party, screen: "shown", share_trouble: null }),
    [{ command: "screen.show" }, announce("You show your screen.")],
  ];
}

/**
 * @param {Session} state
 * @param {CallShareEnded} frame
 * @returns {Step}
 */
export function ended(state, { call_id, party, reason }) {
  const call = state.call;
  if (call?.call_id !== call_id) return [state, []];
  const mine = party === state.you?.party && call.screen !== "choosing";
  // It never began here: there was no record of it.
  if (!mine && call.sharing !== party) return [state, []];
  const sentence = SHARE_END_REASONS[reason] ?? "The screen is not shown any more.";
  const trouble = reason === "stopped" ? null : { key: "share", sentence, code: reason, decision_id: null };
  const next = withCall(state, call, { sharing: null, share_trouble: trouble, ...(mine ? { screen: "none" } : {}) });
  return [next, [...(mine ? [{ command: /** @type {const} */ ("screen.release") }] : []), announce(sentence)]];
}

/**
 * An error that names this call, if it is about the screen: the call goes on.
 * @param {Session} state
 * @param {Call} call
 * @param {Problem} problem
 * @returns {Step | null} null when it is about something else
 */
export function refused(state, call, problem) {
  // It crossed the end of the share.
  if (problem.code === "NOT_SHARING") return [state, []];
  if (problem.code === "NEGOTIATION_BUSY") return [state, [{ command: "screen.offer_again" }]];
  const about = problem.code.startsWith("POLICY_") || NOT_SHARED_NOW.has(problem.code);
  if (call.screen !== "asking" || !about) return null;
  return [
    withCall(state, call, { screen: "none", share_trouble: problem }),
    [{ command: "screen.release" }, announce(problem.sentence, true)],
  ];
}

/**
 * @param {Session} state
 * @param {Call} call
 * @param {Partial<Call>} changes
 * @returns {Session}
 */
function withCall(state, call, changes) {
  return { ...state, call: { ...call, ...changes } };
}
