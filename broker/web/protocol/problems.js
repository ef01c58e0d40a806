/**
 * Problems: the edge's errors and the client's own, as they are shown.
 *
 * @import {Error as ErrorFrame} from "./frames.js"
 * @import {Problem, Session} from "./state.js"
 */

const PROBLEMS_SHOWN = 5;

/**
 * @param {Session} state
 * @param {ErrorFrame} frame
 * @returns {Problem}
 */
export function problemOf(state, frame) {
  return {
    key: `problem-${state.problem_count + 1}`,
    sentence: frame.message,
    code: frame.code,
    decision_id: frame.decision_id ?? null,
  };
}

/**
 * Puts a problem on the list; the oldest leaves when the list is full.
 * @param {Session} state
 * @param {Omit<Problem, "key">} problem
 * @returns {Session}
 */
export function withProblem(state, problem) {
  const problem_count = state.problem_count + 1;
  const problems = [...state.problems, { ...problem, key: `problem-${problem_count}` }];
  return { ...state, problems: problems.slice(-PROBLEMS_SHOWN), problem_count };
}
