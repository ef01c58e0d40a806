/**
 * What the admin listener says, and the words for it. Names and rules in it may come from anywhere.
 *
 * @typedef {"operator" | "policy_administrator" | "auditor" | "recovery" | "break_glass"} Role
 * @typedef {{role: string, party: string, name: string, login: string | null, kind: "insider" | "guest",
 *   zone: string | null, transport: string | null}} LiveParty
 * @typedef {{a_to_b: number, b_to_a: number}} EachWay
 * @typedef {{id: string, kind: "call" | "visit" | "connection", state: string, external: boolean, parties: LiveParty[],
 *   rules: string[], decisions: string[], policy_revision: number | null, age_seconds: number | null,
 *   until: number | null, bytes: EachWay | null, packets: EachWay | null}} LiveSession
 * @typedef {{revision: number, sha256: string, applied_at_ms: number | null, applied_by: string | null, how: string,
 *   alarm: {at_ms: number, errors: string[]} | null}} PolicyState
 * @typedef {{revision: number, sha256: string, at_ms: number, by: string | null, how: string}} Applied
 * @typedef {{rule_id: string, inside_party: string, action: string, condition: string}} Losing
 * @typedef {{decision: {effect: string, code: string, admin_sentence: string, policy_revision: number},
 *   winning: {id: string, effect: string, owner: string, reason: string}[], losing: Losing[], losing_omitted: number,
 *   silence: string | null}} Explanation
 * @typedef {{errors: string[], findings: {kind: string, rule_id: string, sentence: string}[]}} Checked
 * @typedef {{seq: number, ts: string, decision_id: string, action: string, actor: string | null,
 *   counterpart: string | null, before_code: string, after_code: string, rules: string[]}} Change
 * @typedef {{credential_id: string, name: string, enrolled_at: number, used_at: number | null}} OwnKey
 * @typedef {{decided: number, unreadable: number, changed: Change[], changed_omitted: number}} Replayed
 */

/** @type {Record<Role, string>} */
export const ROLES = {
  operator: "Operator",
  policy_administrator: "Policy administrator",
  auditor: "Auditor",
  recovery: "Recovery account",
  break_glass: "Break-glass account",
};

/** @type {Record<Role, string[]>} */
export const PAGES = {
  operator: ["tg-alarms", "tg-emergency", "tg-sessions", "tg-bandwidth", "tg-security-keys"],
  policy_administrator: ["tg-alarms", "tg-emergency", "tg-bandwidth", "tg-policy", "tg-explain", "tg-replay",
    "tg-security-keys"],
  auditor: ["tg-alarms", "tg-emergency", "tg-sessions", "tg-bandwidth", "tg-policy", "tg-explain", "tg-replay",
    "tg-security-keys"],
  recovery: ["tg-alarms", "tg-emergency"],
  break_glass: ["tg-alarms", "tg-emergency", "tg-sessions", "tg-bandwidth", "tg-policy", "tg-explain", "tg-replay"],
};

/** @type {Role[]} */
export const MAY_STOP = ["operator", "policy_administrator", "recovery", "break_glass"];

/** @type {Role[]} */
export const MAY_END = ["operator", "break_glass"];

/** @type {Role[]} */
export const MAY_SET_POLICY = ["policy_administrator", "break_glass"];

export const ACTIONS = ["edge.signin", "edge.join", "guest.invite", "guest.admit", "presence.see", "chat.send", "call.audio",
  "call.video", "screen.share"];

/**
 * @param {number | null} seconds
 * @returns {string}
 */
export function age(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
}

/**
 * @param {number} count
 * @returns {string}
 */
export function bytes(count) {
  for (const [unit, size] of /** @type {const} */ ([["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])) {
    if (count >= size) return `${(count / size).toFixed(1)} ${unit}`;
  }
  return `${count} B`;
}

/**
 * @param {EachWay | null} carried
 * @returns {string}
 */
export function eachWay(carried) {
  return carried === null ? "" : `${bytes(carried.a_to_b)} → ${bytes(carried.b_to_a)} ←`;
}

/**
 * Text without what turns the direction of writing or cannot be seen, at most so long.
 * @param {unknown} value
 * @param {number} [longest]
 * @returns {string}
 */
export function plain(value, longest = 200) {
  const shown = String(value ?? "").replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "\u{fffd}");
  return shown.length > longest ? `${shown.slice(0, longest)}…` : shown;
}

/**
 * @param {LiveParty} party
 * @returns {string}
 */
export function who(party) {
  const login = party.login === null ? "guest" : plain(party.login);
  return `${plain(party.name, 80)} (${login})`;
}

/**
 * @param {number | null} milliseconds since 1970
 * @returns {string}
 */
export function moment(milliseconds) {
  return milliseconds === null ? "" : new Date(milliseconds).toISOString().replace("T", " ").slice(0, 19) + " UTC";
}
