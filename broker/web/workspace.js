/**
 * What both pages have in common: finding their parts, handing every element the client, and the page's title.
 *
 * @import {Client} from "./client.js"
 * @import {ClientElement} from "./elements/client-element.js"
 * @import {Session} from "./protocol/state.js"
 */

import "./elements/tg-announcer.js";
import "./elements/tg-call.js";
import "./elements/tg-chat.js";
import "./elements/tg-connection.js";
import "./elements/tg-problems.js";
import "./elements/tg-program.js";
import "./elements/tg-ring.js";
import "./elements/tg-stopped.js";
import { unread } from "./protocol/conversations.js";
import { nameWithSide } from "./protocol/words.js";

/**
 * A part of the page that its HTML promises.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} selector
 * @returns {T}
 */
export function part(selector) {
  const found = document.querySelector(selector);
  if (found === null) throw new Error(`the page has no ${selector}`);
  return /** @type {T} */ (found);
}

/**
 * @param {Client} client
 * @param {string[]} names
 */
export function handOut(client, names) {
  for (const name of names) /** @type {ClientElement} */ (part(name)).client = client;
}

/**
 * The title tells of calls and messages while the page is in the background.
 * @param {Session} state
 * @param {string} title
 */
export function titleFor(state, title) {
  if (state.call?.phase === "incoming") return `Incoming call from ${nameWithSide(state.call.peer)}`;
  const waiting = state.lobby.length;
  const news = [waiting > 0 && `${waiting} waiting`, unread(state) > 0 && `${unread(state)} new`].filter(Boolean).join(", ");
  return news === "" ? title : `(${news}) ${title}`;
}
