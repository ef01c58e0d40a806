/** When to try again after a lost connection. */

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/**
 * Doubles with every loss up to half a minute; half of it is random, so that after a restart of the edge not everybody
 * comes back in the same instant.
 * @param {number} lost_links consecutive failures so far, 0 for the first connection
 * @param {number} random from 0 up to 1
 * @returns {number} milliseconds
 */
export function reconnectDelayMs(lost_links, random) {
  if (lost_links === 0) return 0;
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (lost_links - 1));
  return ceiling / 2 + (ceiling / 2) * random;
}

const CLOSED_BUT_WELCOME_BACK = new Set([4408, 4503]);

/**
 * Whether a connection closed with this code is worth opening again: the edge's own codes are 4000 + an HTTP status,
 * and all but "read too slowly" and "stopping" would only be answered the same way again.
 * @param {number} code WebSocket close code
 */
export function mayReconnect(code) {
  return code < 4000 || CLOSED_BUT_WELCOME_BACK.has(code);
}
