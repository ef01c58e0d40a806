/**
 * How a person is named everywhere on the page: name, side in words, whom the host had invited, status in words.
 *
 * @import {Contact} from "../protocol/frames.js"
 */

import { STATUSES } from "../protocol/words.js";
import { make } from "./markup.js";

/**
 * "outside" in words beside the name, not only in colour; nothing for people inside.
 * @param {Contact} contact
 */
export function sideBadge(contact) {
  return contact.kind === "guest" ? make("span", { class: "badge outside" }, "outside") : null;
}

/**
 * A guest chooses their own name: where it is another than the host's word for whom they invited, that stands beside it.
 * @param {Contact} contact
 */
export function invitedAs({ name, invited_as = null }) {
  if (invited_as === null || invited_as === name) return null;
  return make("span", { class: "soft invited" }, "invited as ", make("span", { class: "name" }, invited_as));
}

/**
 * @param {Contact["status"]} status
 */
export function statusText(status) {
  return make("span", { class: `status ${status}` }, STATUSES[status]);
}
