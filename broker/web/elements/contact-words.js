/**
 * How a person is named everywhere on the page: name, side in words, status in words.
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
 * @param {Contact["status"]} status
 */
export function statusText(status) {
  return make("span", { class: `status ${status}` }, STATUSES[status]);
}
