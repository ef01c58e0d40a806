/**
 * What the admin listener says of what needs somebody, and the words for it. A detail may come from anywhere.
 *
 * @typedef {{alarm: string, since_ms: number, sentence: string, what_to_do: string, detail: string}} Alarm
 */

import { moment, plain } from "./admin.js";

export const ALL_WELL = "Nothing needs you.";

/** The banner over the console says it already, and the page of emergency stops all about it. */
const TOLD_ELSEWHERE = ["emergency_stop"];

/**
 * @param {Alarm} alarm
 * @returns {boolean}
 */
export function isToldElsewhere({ alarm }) {
  return TOLD_ELSEWHERE.includes(alarm);
}

/**
 * @param {Alarm} alarm
 * @returns {string}
 */
export function headline({ sentence }) {
  return plain(sentence, 300);
}

/**
 * What the console tells of one alarm below its sentence, as names and values.
 * @param {Alarm} alarm
 * @returns {[string, string][]}
 */
export function alarmFacts({ since_ms, detail, what_to_do }) {
  /** @type {[string, string][]} */
  const facts = [["Since", moment(since_ms)], ["Detail", plain(detail, 600)], ["What to do", plain(what_to_do, 600)]];
  return facts.filter(([, value]) => value !== "");
}

/**
 * What stands over the list while the edge does not tell: silence is no sign that all is well.
 * @param {Alarm[]} last what it told last
 * @returns {string}
 */
export function silenceWords(last) {
  return last.length === 0 ? "Whether anything needs you is not known." : "What needs you now is not known. Last it was this:";
}

/**
 * What is read out when these come after those: what was not there yet, and nothing that is told elsewhere. Empty when
 * there is nothing new. An alarm whose detail has changed is the same alarm.
 * @param {Alarm[]} before
 * @param {Alarm[]} alarms
 * @returns {string}
 */
export function newsWords(before, alarms) {
  const known = new Set(before.map(identity));
  return alarms.filter((alarm) => !known.has(identity(alarm)) && !isToldElsewhere(alarm)).map(headline).join(" ");
}

/** @param {Alarm} alarm */
function identity({ alarm, since_ms }) {
  return `${since_ms} ${alarm}`;
}
