/**
 * The few HTTP requests of the edge: who am I, sign in, redeem, leave.
 *
 * @typedef {{ok: true, body: Record<string, unknown>}
 *   | {ok: false, sentence: string, code: string, decision_id: string | null, errors: string[],
 *     return_after_seconds: number | null}} Answer
 */

import { secondsAway } from "./stopping.js";

const REQUEST_TIMEOUT_MS = 20_000;
/** Of a request that reads a long record. */
const PATIENT_TIMEOUT_MS = 330_000;

/**
 * @param {string} path
 * @returns {Promise<Answer>}
 */
export function get(path) {
  return request(path, { method: "GET" });
}

/**
 * @param {string} path
 * @param {Record<string, unknown>} body
 * @param {{patient?: boolean}} [how]
 * @returns {Promise<Answer>}
 */
export function post(path, body, { patient = false } = {}) {
  const headers = { "Content-Type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  return request(path, init, patient ? PATIENT_TIMEOUT_MS : REQUEST_TIMEOUT_MS);
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @param {number} [timeout_ms]
 * @returns {Promise<Answer>}
 */
async function request(path, init, timeout_ms = REQUEST_TIMEOUT_MS) {
  let response;
  let body;
  try {
    const signal = AbortSignal.timeout(timeout_ms);
    response = await fetch(path, { ...init, signal, credentials: "same-origin", cache: "no-store" });
    const text = await response.text();
    body = text === "" ? {} : JSON.parse(text);
  } catch {
    return { ok: false, sentence: "The edge did not answer. Check your network and try again.", code: "NO_ANSWER",
      decision_id: null, errors: [], return_after_seconds: null };
  }
  if (response.ok) return { ok: true, body };
  return {
    ok: false,
    sentence: typeof body.message === "string" ? body.message : "The edge could not do that.",
    code: typeof body.code === "string" ? body.code : `HTTP_${response.status}`,
    decision_id: typeof body.decision_id === "string" ? body.decision_id : null,
    errors: Array.isArray(body.errors) ? body.errors.map(String) : [],
    return_after_seconds: secondsAway(Number(response.headers.get("Retry-After"))),
  };
}
