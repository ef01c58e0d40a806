/**
 * Stopping: the organisation has stopped what the link is for. The edge says so, names when to come back and closes the
 * link; until then nothing here tries it, whoever asks.
 *
 * @import {Error as ErrorFrame} from "./frames.js"
 * @import {Session, Step, Stop} from "./state.js"
 */

import { announce } from "./state.js";

export const EMERGENCY_STOP = "EMERGENCY_STOP";

/** Of the edge's closures the one after which its last word says when to come back: "not now" (HTTP 503). */
const CLOSED_FOR_NOW = 4503;
/** No stop waits longer without asking; also, timers of browsers end at 24 days. */
const LONGEST_WAIT_SECONDS = 86_400;

/**
 * The seconds to stay away, if these are any.
 * @param {unknown} value
 * @returns {number | null}
 */
export function secondsAway(value) {
  return typeof value === "number" && value > 0 ? Math.min(value, LONGEST_WAIT_SECONDS) : null;
}

/**
 * The stop that an error speaks of, if it is one about the whole link and not about something that was asked.
 * @param {ErrorFrame} frame
 * @returns {Stop | null}
 */
export function stopIn({ code, message, ref, call_id, return_after_seconds }) {
  const seconds = secondsAway(return_after_seconds);
  if (code !== EMERGENCY_STOP || ref || call_id || seconds === null) return null;
  return { sentence: message, return_after_seconds: seconds, until_ms: null };
}

/**
 * The stop for which the link was closed just now.
 * @param {Session} state
 * @param {number} code WebSocket close code
 * @returns {Stop | null}
 */
export function stopBehind(state, code) {
  return code === CLOSED_FOR_NOW && state.stop?.until_ms === null ? state.stop : null;
}

/**
 * Stays away until the edge wants to be asked again.
 * @param {Session} state
 * @param {Stop} stop
 * @param {number} now_ms
 * @returns {Step}
 */
export function stayAway(state, stop, now_ms) {
  const until_ms = now_ms + stop.return_after_seconds * 1000;
  // The page says it in a place of its own.
  const problems = state.problems.filter(({ code }) => code !== EMERGENCY_STOP);
  return [
    { ...state, link: "stopped", lost_links: 0, farewell: stop.sentence, stop: { ...stop, until_ms }, problems },
    [{ command: "return", after_seconds: stop.return_after_seconds }, announce(stop.sentence, true)],
  ];
}

/**
 * What somebody reads who came back after a stop and is not known any more.
 * @param {Session} state
 * @returns {string | null} null when no stop was behind it
 */
export function farewellOfStop({ stop, visit }) {
  if (stop === null || stop.until_ms === null) return null;
  const next = visit === null
    ? "It also ended your sign-in. Sign in again; if it still holds, you are told."
    : "It also ended your visit. Open the link of your invitation again if it is still valid, or ask for a new one.";
  return `${stop.sentence} ${next}`;
}
