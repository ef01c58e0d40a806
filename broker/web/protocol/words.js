/**
 * Plain words for what the protocol says in codes.
 *
 * @import {Contact, EndReason, InvitationInfo, ShareEndReason, ShownStatus} from "./frames.js"
 */

/** @type {Record<EndReason, string>} */
export const END_REASONS = {
  hung_up: "The call has ended.",
  declined: "The call was declined.",
  cancelled: "The caller gave up.",
  answered_elsewhere: "The call was answered on another of your devices.",
  no_answer: "There was no answer.",
  party_left: "The other party has disconnected.",
  time_limit: "The call reached the longest time allowed.",
  policy: "The call was ended by the organisation's rules.",
  operator: "The call was ended by an operator of the organisation.",
  access_ended: "The call has ended: your account may not be used here any more.",
  directory_silent: "The call was ended because the organisation's directory does not answer.",
  record_unavailable: "The call was ended because it could no longer be put on record.",
  edge_stopping: "The call ended because the edge is stopping.",
  emergency_stop: "The call was ended by an emergency stop of the organisation.",
};

/** @type {Record<ShareEndReason, string>} */
export const SHARE_END_REASONS = {
  stopped: "The screen is not shown any more.",
  time_limit: "The screen was shown for the longest time allowed.",
  policy: "Showing the screen was ended by your organisation's rules.",
  record_unavailable: "Showing the screen was ended because it could not be put on record.",
  emergency_stop: "Showing the screen was ended by an emergency stop of the organisation.",
};

/** @type {Record<ShownStatus, string>} */
export const STATUSES = { available: "Available", away: "Away", busy: "Busy", offline: "Offline" };

export const CONNECTION_LOST = "The connection to the edge was lost.";

export const PROGRAM_REFUSED = "This version of the program is not allowed here.";

/**
 * The address, if it is one that a person may be led to; null for every scheme but https.
 * @param {string} link
 */
export function safeLink(link) {
  return URL.canParse(link) && new URL(link).protocol === "https:" ? new URL(link).href : null;
}

/**
 * The contact's name, and in words whether they are from outside.
 * @param {Contact} contact
 */
export function nameWithSide(contact) {
  return contact.kind === "guest" ? `${contact.name} (outside)` : contact.name;
}

/**
 * How an invitation stands: until when and how often it can be used, and how many are in by it.
 * @param {InvitationInfo} invitation
 * @param {number} now_ms Unix milliseconds
 */
export function standing({ expires_at, redemptions, redemptions_left, guests }, now_ms) {
  const ends_ms = expires_at * 1000;
  const until = new Date(ends_ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const times = redemptions === 1 ? "once" : `${redemptions} times`;
  let uses = `used ${redemptions - redemptions_left} of ${times}`;
  if (redemptions_left === redemptions) uses = `unused, usable ${times}`;
  if (redemptions_left === 0) uses = "used up";
  const use = redemptions_left === 0 && ends_ms <= now_ms ? `over since ${until}` : `${uses}, until ${until}`;
  return guests === 0 ? use : `${use}; ${guests === 1 ? "1 guest is" : `${guests} guests are`} in`;
}

/**
 * A time of this day, to the second: what is waited for is often near.
 * @param {number} at_ms Unix milliseconds
 */
export function timeOfDay(at_ms) {
  return new Date(at_ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/**
 * Bits per second in the unit that keeps them short, to three digits.
 * @param {number} bits_per_second
 */
export function rate(bits_per_second) {
  const kilobits = Math.round(bits_per_second / 1000);
  if (kilobits < 1000) return `${kilobits} kb/s`;
  const [unit, size] = kilobits < 1e6 ? ["Mb/s", 1000] : ["Gb/s", 1e6];
  return `${Number((kilobits / size).toPrecision(3))} ${unit}`;
}

/**
 * Elapsed time as minutes and seconds, with hours when there are any.
 * @param {number} elapsed_ms
 */
export function duration(elapsed_ms) {
  const seconds = Math.max(0, Math.floor(elapsed_ms / 1000));
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const hours = Math.floor(seconds / 3600);
  if (hours > 0) parts.unshift(hours);
  return parts.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}
