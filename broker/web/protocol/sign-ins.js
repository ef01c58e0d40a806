/**
 * Sign-ins: where else this person is signed in, as the edge last told, and the end of it.
 *
 * @import {SignIns} from "./frames.js"
 * @import {Session, Step} from "./state.js"
 */

import { announce } from "./state.js";

/**
 * @param {Session} state
 * @param {SignIns} frame
 * @returns {Step}
 */
export function told(state, { sign_ins }) {
  const ended = state.sign_ins.filter(({ sign_in_id }) => !sign_ins.some((left) => left.sign_in_id === sign_in_id));
  return [{ ...state, sign_ins }, ended.map(({ network }) => announce(`The sign-in from ${network} has ended.`))];
}

/**
 * What used it, in words; what a program says of itself is not ours.
 * @param {string} program
 */
export function programWords(program) {
  if (program === "") return "Not used yet";
  return program.startsWith("turngate-web ") ? "Web page" : program;
}
