/**
 * Calls: inviting, ringing, answering, the exchange of media descriptions, and every way a call ends.
 *
 * @import {CallAccepted, CallCreated, CallEnded, CallRing, MediaLimit} from "./frames.js"
 * @import {Call, Command, Event, Problem, Session, Step} from "./state.js"
 */

import { select } from "./conversations.js";
import * as sharing from "./sharing.js";
import { announce, send } from "./state.js";
import { END_REASONS, nameWithSide } from "./words.js";

const GIVEN_UP_KEPT = 20;

/** @type {Pick<Call, "muted" | "camera_off" | "interrupted" | "remarks" | "trouble" | "connected_at_ms" | "ending" | "problem"
 *   | "sharing" | "screen" | "share_trouble">} */
const FRESH = {
  muted: false,
  camera_off: false,
  interrupted: false,
  remarks: [],
  trouble: null,
  connected_at_ms: null,
  ending: null,
  problem: null,
  ...sharing.NOT_SHARING,
};

/**
 * Whether this call still occupies the person.
 * @param {Call | null} call
 * @returns {call is Call}
 */
export function isLive(call) {
  return call !== null && call.phase !== "ended";
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "call.start"}>} event
 * @returns {Step}
 */
export function start(state, { ref, party, video }) {
  const peer = state.conversations[party]?.contact;
  if (peer === undefined || isLive(state.call) || state.link !== "online") return [state, []];
  const attempt = state.attempts + 1;
  /** @type {Call} */
  const call = {
    ...FRESH,
    phase: "preparing",
    attempt,
    role: "caller",
    peer,
    media: video ? ["audio", "video"] : ["audio"],
    ref,
    call_id: null,
  };
  return [{ ...state, call, attempts: attempt }, [{ command: "devices.acquire", attempt, video }]];
}

/**
 * Devices were opened, or could not be: the call goes on with what there is.
 * @param {Session} state
 * @param {Extract<Event, {event: "devices.ready"}>} event
 * @returns {Step}
 */
export function devicesReady(state, { attempt, remarks }) {
  const call = state.call;
  if (call?.attempt !== attempt) return [state, []];
  if (call.phase === "preparing" && call.ref !== null) {
    const invite = send({ type: "call.invite", ref: call.ref, to: call.peer.party, media: call.media });
    return [{ ...state, call: { ...call, phase: "inviting", remarks } }, [invite]];
  }
  if (call.phase === "answering" && call.call_id !== null) {
    return [{ ...state, call: { ...call, remarks } }, [send({ type: "call.accept", call_id: call.call_id })]];
  }
  return [state, []];
}

/**
 * @param {Session} state
 * @param {CallCreated} frame
 * @returns {Step}
 */
export function created(state, { ref, call_id }) {
  const call = state.call;
  if (call?.phase === "inviting" && call.ref === ref) {
    const told = announce(`Ringing ${nameWithSide(call.peer)}.`);
    return [{ ...state, call: { ...call, phase: "ringing", call_id } }, [told]];
  }
  // Given up before the edge had named it.
  const given_up = state.given_up.filter((known) => known !== ref);
  return [{ ...state, given_up }, [send({ type: "call.cancel", call_id })]];
}

/**
 * It rings here. A call that this person was only about to make gives way; in a call, the edge does not let it ring.
 * @param {Session} state
 * @param {CallRing} frame
 * @returns {Step}
 */
export function rings(state, { call_id, caller, media }) {
  const before = state.call;
  if (isLive(before) && before.phase !== "preparing" && before.phase !== "inviting") return [state, []];
  const attempt = state.attempts + 1;
  /** @type {Call} */
  const call = { ...FRESH, phase: "incoming", attempt, role: "callee", peer: caller, media, ref: null, call_id };
  const kind = media.includes("video") ? "video call" : "call";
  const told = announce(`Incoming ${kind} from ${nameWithSide(caller)}.`, true);
  const next = giveUp(state, before);
  return [{ ...next, call, attempts: attempt }, [{ command: "media.close" }, told]];
}

/**
 * @param {Session} state
 * @param {Call | null} call
 * @returns {Session}
 */
function giveUp(state, call) {
  if (call?.phase !== "inviting" || call.ref === null) return state;
  return { ...state, given_up: [...state.given_up, call.ref].slice(-GIVEN_UP_KEPT) };
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "call.answer"}>} event
 * @returns {Step}
 */
export function answer(state, { video }) {
  const call = state.call;
  if (call?.phase !== "incoming") return [state, []];
  const wanted = video && call.media.includes("video");
  const next = { ...state, call: { ...call, phase: /** @type {const} */ ("answering") } };
  // The call stands beside the conversation with whom it is.
  const [beside] = select(next, { event: "chat.select", party: call.peer.party });
  return [beside, [{ command: "devices.acquire", attempt: call.attempt, video: wanted }]];
}

/**
 * @param {Session} state
 * @param {CallAccepted} frame
 * @returns {Step}
 */
export function accepted(state, { call_id, role, ice_server }) {
  const call = state.call;
  if (call?.call_id !== call_id || (call.phase !== "ringing" && call.phase !== "answering")) return [state, []];
  const { attempt, media } = call;
  return [
    { ...state, call: { ...call, phase: "connecting", role } },
    [{ command: "media.open", attempt, role, media, ice_server }],
  ];
}

/**
 * This person wants out, whatever the call is doing: declines, gives up or hangs up.
 * @param {Session} state
 * @returns {Step}
 */
export function leave(state) {
  const call = state.call;
  if (!isLive(call)) return [state, []];
  const { call_id, phase } = call;
  /** @type {Command[]} */
  const commands = [{ command: "media.close" }];
  if (call_id !== null) {
    if (phase === "incoming") commands.push(send({ type: "call.decline", call_id }));
    else if (phase === "ringing") commands.push(send({ type: "call.cancel", call_id }));
    else commands.push(send({ type: "call.hang_up", call_id }));
  }
  const quiet = phase === "incoming" || phase === "preparing";
  const over = quiet ? null : finished(call, END_REASONS.hung_up);
  return [{ ...giveUp(state, call), call: over }, commands];
}

/**
 * @param {Session} state
 * @param {CallEnded} frame
 * @returns {Step}
 */
export function ended(state, frame) {
  const { call_id, reason } = frame;
  const call = state.call;
  const ours = isLive(call) && (call.call_id === call_id || (call.ref !== null && call.ref === frame.ref));
  if (!ours) return [state, []];
  if (call.phase === "incoming") {
    if (reason === "emergency_stop") return finish(state, call, END_REASONS.emergency_stop, null);
    // It stopped ringing: no word is needed when another device of theirs answered.
    const told = reason === "answered_elsewhere" ? [] : [announce(`Missed call from ${nameWithSide(call.peer)}.`)];
    const over = reason === "answered_elsewhere" ? null : finished(call, "You missed this call.");
    return [{ ...state, call: over }, [{ command: "media.close" }, ...told]];
  }
  return finish(state, call, why(frame), null);
}

/**
 * @param {Call} call
 * @param {string} ending
 * @param {Problem | null} [problem]
 * @returns {Call}
 */
function finished(call, ending, problem = null) {
  return { ...call, ...sharing.NOT_SHARING, phase: "ended", ending, problem };
}

/**
 * @param {Session} state
 * @param {Call} call
 * @param {string} ending
 * @param {Problem | null} problem
 * @returns {Step}
 */
function finish(state, call, ending, problem) {
  const told = announce(`Call with ${nameWithSide(call.peer)}: ${ending}`, true);
  return [{ ...state, call: finished(call, ending, problem) }, [{ command: "media.close" }, told]];
}

/**
 * The link is gone, and with it the edge has ended the call it carried.
 * @param {Session} state
 * @param {string} ending
 * @returns {Step}
 */
export function cutOff(state, ending) {
  return isLive(state.call) ? finish(state, state.call, ending, null) : [state, []];
}

/** Errors after which there is nothing left of the call they name. */
const FATAL_TO_A_CALL = new Set(["UNKNOWN_CALL", "CALL_STATE", "SDP_MALFORMED", "SDP_TOO_LARGE", "SDP_MEDIA_NOT_ALLOWED"]);

/**
 * An error that names this call by its id or its ref.
 * @param {Session} state
 * @param {{ref?: string | null, call_id?: string | null}} named
 * @param {Problem} problem
 * @returns {Step | null} null when it is about something else
 */
export function refused(state, named, problem) {
  const call = state.call;
  if (isLive(call) && named.ref && named.ref === call.ref) {
    return finish(state, call, problem.sentence, problem);
  }
  if (named.ref && state.given_up.includes(named.ref)) {
    return [{ ...state, given_up: state.given_up.filter((ref) => ref !== named.ref) }, []];
  }
  if (!named.call_id) return null;
  if (!isLive(call) || named.call_id !== call.call_id) {
    // Signals that crossed the end of their call need no word.
    return problem.code === "UNKNOWN_CALL" || problem.code === "CALL_STATE" ? [state, []] : null;
  }
  const about_screen = sharing.refused(state, call, problem);
  if (about_screen !== null) return about_screen;
  if (!FATAL_TO_A_CALL.has(problem.code) && call.phase !== "answering") return null;
  const [next, commands] = finish(state, call, problem.sentence, problem);
  return [next, [...commands, send({ type: "call.hang_up", call_id: named.call_id })]];
}

/**
 * @param {Session} state
 * @param {string} call_id
 * @param {Command} command
 * @returns {Step}
 */
export function toMedia(state, call_id, command) {
  const call = state.call;
  const open = call?.phase === "connecting" || call?.phase === "active";
  return [state, open && call.call_id === call_id ? [command] : []];
}

/**
 * What may be sent from now on; what the edge leaves out is not limited.
 * @param {Session} state
 * @param {MediaLimit} frame
 * @returns {Step}
 */
export function limited(state, frame) {
  const limits = {
    audio: frame.audio_bits_per_second ?? null,
    video: frame.video_bits_per_second ?? null,
    screen: frame.screen_bits_per_second ?? null,
  };
  return toMedia(state, frame.call_id, { command: "media.limit", limits });
}

/**
 * The call's own media have something to say.
 * @param {Session} state
 * @param {Extract<Event, {event: "media.described" | "media.gathered" | "media.connected" | "media.interrupted"
 *   | "media.failed"}>} event
 * @returns {Step}
 */
export function mediaSays(state, event) {
  const call = state.call;
  if (call?.attempt !== event.attempt || call.call_id === null) return [state, []];
  if (call.phase !== "connecting" && call.phase !== "active") return [state, []];
  const { call_id } = call;
  switch (event.event) {
    case "media.described":
      return [state, [send({ type: `call.${event.kind}`, call_id, sdp: event.sdp })]];
    case "media.gathered":
      return [state, [send({ type: "call.candidate", call_id, candidate: event.candidate, mid: event.mid })]];
    case "media.connected": {
      const connected_at_ms = call.connected_at_ms ?? event.now_ms;
      const first = call.phase === "connecting" ? [announce(`Connected to ${nameWithSide(call.peer)}.`)] : [];
      return [{ ...state, call: { ...call, phase: "active", interrupted: false, trouble: null, connected_at_ms } }, first];
    }
    case "media.interrupted":
      return [{ ...state, call: { ...call, interrupted: true } }, []];
    case "media.failed": {
      const told = call.trouble === event.sentence ? [] : [announce(event.sentence, true)];
      return [{ ...state, call: { ...call, trouble: event.sentence } }, told];
    }
  }
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "call.mute"}>} event
 * @returns {Step}
 */
export function mute(state, { muted }) {
  if (!isLive(state.call)) return [state, []];
  return [{ ...state, call: { ...state.call, muted } }, [{ command: "media.enable", kind: "audio", enabled: !muted }]];
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "call.camera"}>} event
 * @returns {Step}
 */
export function camera(state, { off }) {
  if (!isLive(state.call)) return [state, []];
  const call = { ...state.call, camera_off: off };
  return [{ ...state, call }, [{ command: "media.enable", kind: "video", enabled: !off }]];
}

/**
 * The notice that a call is over has been read.
 * @param {Session} state
 * @returns {Step}
 */
export function dismiss(state) {
  return [isLive(state.call) ? state : { ...state, call: null }, []];
}

/**
 * Why a call ended, in words; where policy did it with the decision, which an administrator can be asked about.
 * @param {CallEnded} frame
 * @returns {string}
 */
function why({ reason, message, decision_id }) {
  const words = END_REASONS[reason] ?? "The call has ended.";
  return message && decision_id ? `${words} ${message} Decision ${decision_id}.` : words;
}
