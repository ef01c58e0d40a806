/**
 * What the admin listener says of emergency stops, and the words for it. Names in it may come from anywhere.
 *
 * @typedef {{calls: number, shares: number, connections: number, visits: number}} Ended
 * @typedef {{by: string, login: string, until_ms: number}} Lift
 * @typedef {{scope: string, since_ms: number, how: string, by: string | null, login: string | null, told_by: string | null, reason: string | null,
 *   known: boolean, settled: boolean, ended: Partial<Ended> | null, packets: number | null, last_packet_ms: number | null,
 *   lift: Lift | null}} Stop
 * @typedef {{scope: string, at_ms: number, would_end: Partial<Ended>}} Drill
 * @typedef {{stops: Stop[], drill: Drill | null}} Emergency
 */

import { moment, plain } from "./admin.js";

export const STOP_HOLDS = "Nothing that this covers is let through until two administrators lift it.";

const BANNER_NAMES = 3;

/** @type {Record<string, string>} */
export const MODALITIES = {
  call: "all calls",
  audio: "calls with sound",
  video: "calls with picture",
  screen: "screen sharing",
  chat: "chat",
  guests: "guests and their invitations",
};

/** @type {[keyof Ended, string, string][]} */
const COUNTED = [
  ["calls", "call", "calls"],
  ["shares", "shown screen", "shown screens"],
  ["connections", "connection", "connections"],
  ["visits", "visit of a guest", "visits of guests"],
];

/**
 * What a scope covers, in words that go on in a sentence.
 * @param {string} scope
 * @returns {string}
 */
export function scopeWords(scope) {
  const colon = scope.indexOf(":");
  const [kind, name] = colon < 0 ? [scope, ""] : [scope.slice(0, colon), scope.slice(colon + 1)];
  switch (kind) {
    case "all":
      return "everything";
    case "zone":
      return `all of the zone ${plain(name, 80)}`;
    case "peer":
      return `all guests of ${plain(name, 80)}`;
    case "user":
      return `all that the person ${plain(name, 80)} takes part in`;
    case "modality":
      return Object.hasOwn(MODALITIES, name) ? MODALITIES[name] ?? name : plain(name, 80);
    default:
      return plain(scope, 80);
  }
}

/**
 * @param {string} words
 * @returns {string}
 */
export function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * @param {Partial<Ended>} counts
 * @returns {string}
 */
export function countWords(counts) {
  const parts = COUNTED.map(([name, one, many]) => [Number(counts[name] ?? 0), one, many])
    .filter(([count]) => count !== 0).map(([count, one, many]) => `${count} ${count === 1 ? one : many}`);
  const last = parts.pop();
  return last === undefined ? "nothing that was open" : parts.length === 0 ? last : `${parts.join(", ")} and ${last}`;
}

/**
 * @param {Stop} stop
 * @returns {string}
 */
export function stoppedBy({ by, login, told_by }) {
  if (by !== null) return `${plain(login ?? by)}, at the console`;
  return told_by === null ? "a file on the edge's machine" : `a file on the edge's machine, by ${plain(told_by)}`;
}

/**
 * What the console tells of one stop, as names and values.
 * @param {Stop} stop
 * @returns {[string, string][]}
 */
export function stopFacts(stop) {
  const { since_ms, reason, settled, ended, last_packet_ms } = stop;
  return [
    ["Since", moment(since_ms)],
    ["By", stoppedBy(stop)],
    ["Reason", reason === null ? "none was given" : plain(reason, 600)],
    ["Ended", !settled ? "it is ending" : ended === null ? "not known: the edge has started again since" : countWords(ended)],
    ["Last packet of it", ended === null ? "not known" : last_packet_ms === null ? "none went out" : moment(last_packet_ms)],
  ];
}

/**
 * @param {Lift} lift
 * @param {string} login of whoever reads it
 * @returns {string}
 */
export function liftWords({ login: asker, until_ms }, login) {
  const until = `by ${moment(until_ms)}`;
  return asker === login
    ? `You have asked for the lift; another administrator has to approve it. The stop goes on unless that happens ${until}.`
    : `${plain(asker, 80)} has asked for the lift. The stop goes on unless another administrator approves ${until}.`;
}

/**
 * @param {Drill} drill
 * @returns {string}
 */
export function drillWords({ scope, at_ms, would_end }) {
  return `Rehearsed on ${moment(at_ms)}: a stop of ${scopeWords(scope)} would have ended ${countWords(would_end)}.`;
}

/**
 * The line over the whole console while anything is stopped; empty when nothing is.
 * @param {Stop[]} stops
 * @returns {string}
 */
export function bannerWords(stops) {
  if (stops.length === 0) return "";
  const named = stops.slice(0, BANNER_NAMES).map(({ scope }) => scopeWords(scope)).join("; ");
  const more = stops.length - BANNER_NAMES;
  return `Stopped: ${named}${more > 0 ? `; and ${more} more` : ""}.`;
}
