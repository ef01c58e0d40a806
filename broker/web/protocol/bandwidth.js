/**
 * What the admin listener says of use and limits of bandwidth, the words for it, and where it lies on a plot.
 *
 * @typedef {"from_inside" | "to_inside"} Way
 * @typedef {"hour" | "live"} Span
 * @typedef {Record<Way, number[]>} EachWay bits per second, oldest first
 * @typedef {Record<Span, EachWay>} Series
 * @typedef {{id: string, of: "total" | "zone" | "user" | "call", zone: string | null,
 *   media: "all" | "audio" | "video" | "screen", from_inside_bits_per_second: number | null,
 *   to_inside_bits_per_second: number | null, owner: string, reason: string}} BandwidthLimit
 * @typedef {{series: Record<string, Series>, step_seconds: number, limits: BandwidthLimit[]}} Bandwidth
 * @typedef {{at: number, label: string}} Mark
 * @typedef {{line: string, limit: number | null, rates: Mark[], times: Mark[]}} Plot
 * @typedef {{scope: string, way: Way, newest: number | null, highest: number | null, limit: number | null}} Row
 */

import { plain } from "./admin.js";
import { rate } from "./words.js";

/** @type {Record<Way, string>} */
export const WAYS = { from_inside: "From inside", to_inside: "To inside" };

/** @type {Record<Span, string>} */
export const SPANS = { hour: "Last hour", live: "Live" };

/** Of a drawing, and of the part of it that the line is in. */
export const SIZE = { width: 560, height: 190, left: 78, right: 544, top: 12, bottom: 158 };

const SPAN_SECONDS = { hour: 3600, live: 60 };
/** @type {Record<Span, [number, string][]>} */
const TIMES = {
  hour: [[3600, "−60 min"], [2700, "−45 min"], [1800, "−30 min"], [900, "−15 min"], [0, "now"]],
  live: [[60, "−1 min"], [30, "−½ min"], [0, "now"]],
};
const MOST_STEPS = 4;
/** Nothing is drawn larger than it is: a plot of next to nothing is flat. */
const LEAST_TOP = 40_000;

/**
 * All scopes there are, everything together first.
 * @param {Bandwidth} told
 * @returns {string[]}
 */
export function scopes({ series }) {
  return Object.keys(series).sort((one, other) => (one === "total" ? -1 : other === "total" ? 1 : one < other ? -1 : 1));
}

/** @param {string} scope */
export function scopeWords(scope) {
  return scope.startsWith("zone:") ? `Zone ${plain(scope.slice(5))}` : "All calls";
}

/**
 * Of all media of a scope one way: the strictest, null for none.
 * @param {BandwidthLimit[]} limits
 * @param {string} scope
 * @param {Way} way
 * @returns {number | null}
 */
export function limitOf(limits, scope, way) {
  const about = limits.filter((limit) => isDrawn(limit) && scopeOf(limit) === scope);
  const rates = about.flatMap((limit) => limit[`${way}_bits_per_second`] ?? []);
  return rates.length === 0 ? null : Math.min(...rates);
}

/** @param {BandwidthLimit} limit */
function scopeOf({ of, zone }) {
  return of === "zone" ? `zone:${zone}` : of;
}

/** @param {BandwidthLimit} limit */
function isDrawn({ of, media }) {
  return media === "all" && (of === "total" || of === "zone");
}

/**
 * The limits that are no line of a plot: of every person or call by itself, or of one medium.
 * @param {BandwidthLimit[]} limits
 * @returns {string[]}
 */
export function otherLimits(limits) {
  return limits.filter((limit) => !isDrawn(limit)).map((limit) => {
    const whose = { total: "All calls", zone: `Zone ${plain(limit.zone)}`, user: "Each person", call: "Each call" }[limit.of];
    const media = { all: "", audio: ", only sound", video: ", only pictures", screen: ", only screens" }[limit.media];
    const ways = /** @type {Way[]} */ (Object.keys(WAYS)).flatMap((way) => {
      const most = limit[`${way}_bits_per_second`];
      return most === null ? [] : [`${WAYS[way].toLowerCase()} at most ${rate(most)}`];
    });
    return `${whose}${media}: ${ways.join(", ")}. ${plain(limit.reason, 300)} (${plain(limit.id)}, ${plain(limit.owner)})`;
  });
}

/**
 * What a plot says, for those who do not see it.
 * @param {Bandwidth} told
 * @param {string} scope
 * @param {Way} way
 * @param {Span} span
 * @returns {Row}
 */
export function rowOf({ series, limits }, scope, way, span) {
  const { live, [span]: shown } = /** @type {Series} */ (series[scope]);
  const newest = live[way].at(-1) ?? null;
  return {
    scope,
    way,
    newest,
    highest: shown[way].length === 0 ? null : Math.max(...shown[way]),
    limit: limitOf(limits, scope, way),
  };
}

/** @param {number | null} bits_per_second */
export function limitRate(bits_per_second) {
  return bits_per_second === null ? "none" : rate(bits_per_second);
}

/** @param {number | null} bits_per_second */
export function usedRate(bits_per_second) {
  return bits_per_second === null ? "not known" : rate(bits_per_second);
}

/** @param {Row} row */
export function plotWords({ way, newest, limit }) {
  const most = limit === null ? "no limit" : `limit ${rate(limit)}`;
  return `${WAYS[way]}: ${newest === null ? "nothing is known yet" : `${rate(newest)} now`}, ${most}`;
}

/**
 * @param {number[]} bits bits per second, the newest last and now
 * @param {number | null} limit
 * @param {Span} span
 * @param {number} step_seconds from one point of the hour to the next
 * @returns {Plot}
 */
export function plot(bits, limit, span, step_seconds) {
  const [seconds, step] = [SPAN_SECONDS[span], span === "live" ? 1 : step_seconds];
  const shown = bits.slice(-Math.max(1, Math.floor(seconds / step)));
  const marks = rateMarks(Math.max(limit ?? 0, ...shown));
  const top = /** @type {number} */ (marks.at(-1));
  const x = (/** @type {number} */ age) => round(SIZE.right - (age / seconds) * (SIZE.right - SIZE.left));
  const y = (/** @type {number} */ value) => round(SIZE.bottom - (value / top) * (SIZE.bottom - SIZE.top));
  const points = shown.map((value, index) => `${x((shown.length - 1 - index) * step)},${y(value)}`);
  // One point alone would not be seen.
  if (shown.length === 1) points.unshift(`${x(step)},${y(shown[0] ?? 0)}`);
  return {
    line: points.join(" "),
    limit: limit === null ? null : y(limit),
    rates: marks.map((value) => ({ at: y(value), label: rate(value) })),
    times: TIMES[span].map(([age, label]) => ({ at: x(age), label })),
  };
}

/**
 * Round figures from nothing to somewhat above the highest.
 * @param {number} highest
 * @returns {number[]}
 */
export function rateMarks(highest) {
  const wanted = Math.max(highest * 1.05, LEAST_TOP);
  const size = 10 ** Math.floor(Math.log10(wanted / MOST_STEPS));
  const step = size * /** @type {number} */ ([1, 2, 2.5, 5, 10].find((times) => times * size * MOST_STEPS >= wanted));
  return Array.from({ length: Math.ceil(wanted / step) + 1 }, (_, index) => index * step);
}

/** @param {number} length */
function round(length) {
  return Math.round(length * 10) / 10;
}
