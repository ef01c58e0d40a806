/**
 * A problem in words, with the decision's id to quote to an administrator.
 *
 * @import {Problem} from "../protocol/state.js"
 */

import { copyButton } from "./copy-button.js";
import { make } from "./markup.js";

/** @param {Pick<Problem, "sentence" | "code" | "decision_id">} problem */
export function problemText(problem) {
  const { decision_id } = problem;
  const decision = decision_id === null
    ? null
    : make("span", { class: "decision" }, "Decision ", make("code", {}, decision_id), " ",
      copyButton("Copy decision", () => decision_id));
  return make("span", { class: "problem", "data-code": problem.code }, make("span", {}, problem.sentence), decision);
}
