/**
 * Why no path to the relay was found, told from the errors of candidate gathering.
 *
 * @typedef {{errorCode: number}} GatheringError the part of an `icecandidateerror` that counts
 */

/** WebRTC 1.0 section 4.8.3: the server could not be reached; also reported for harmless interfaces of their own. */
const SERVER_UNREACHABLE = 701;
/** STUN error codes (RFC 8489 section 14.8, RFC 8656 section 19). */
const UNAUTHENTICATED = new Set([401, 403, 438, 441]);
const CAPACITY = new Set([486, 508]);

/**
 * The sentence for a gathering that ended without any relayed address.
 * @param {GatheringError[]} errors
 */
export function relayTrouble(errors) {
  const codes = errors.map((error) => error.errorCode);
  if (codes.some((code) => UNAUTHENTICATED.has(code))) {
    return "The relay did not accept this call's credentials. Hang up and call again.";
  }
  if (codes.some((code) => CAPACITY.has(code))) {
    return "The relay has no room for this call right now. Hang up and try again.";
  }
  if (codes.length === 0 || codes.every((code) => code === SERVER_UNREACHABLE)) {
    return "The relay cannot be reached from this network, so no sound or picture can pass. Try another network.";
  }
  return `The relay refused this call (code ${codes[0]}).`;
}
