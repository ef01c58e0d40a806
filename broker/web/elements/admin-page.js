/**
 * What the pages of the console share: shown for a role, hidden for others, and a place to say what went wrong.
 *
 * @import {Role} from "../protocol/admin.js"
 * @import {Answer} from "../protocol/http.js"
 */

import { plain } from "../protocol/admin.js";
import { make } from "./markup.js";
import { problemText } from "./problem-text.js";

export class AdminPage extends HTMLElement {
  /** @type {Role | null} */
  role = null;
  /** Of the person signed in. */
  login = "";
  #problem = make("div", { role: "alert" });

  /**
   * Shows the page to somebody in this role; null hides it.
   * @param {Role | null} role
   * @param {string} login
   */
  open(role, login) {
    this.role = role;
    this.login = login;
    this.hidden = role === null;
    this.#problem.replaceChildren();
    this.replaceChildren();
    if (role === null) return;
    this.build();
    this.append(this.#problem);
  }

  build() {}

  /**
   * The answer's body, or null once its problem is shown. A sign-in that is over is the page's to deal with.
   * @param {Answer} answer
   * @param {HTMLElement} [place] where the problem is shown instead, out of reach of a refresh
   * @returns {Record<string, unknown> | null}
   */
  bodyOf(answer, place = this.#problem) {
    if (this.role === null) return null;
    place.replaceChildren();
    if (answer.ok) return answer.body;
    if (answer.code === "NOT_SIGNED_IN") {
      this.dispatchEvent(new CustomEvent("signed-out", { bubbles: true }));
      return null;
    }
    place.append(make("p", {}, problemText(answer)),
      make("ul", {}, ...answer.errors.map((error) => make("li", {}, plain(error, 600)))));
    return null;
  }
}

/**
 * A table with a caption for those who cannot see it.
 * @param {string} label
 * @param {string[]} heads
 * @param {HTMLTableSectionElement} body
 */
export function table(label, heads, body) {
  return make("div", { class: "scrolls" },
    make("table", { "aria-label": label },
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), body));
}

/**
 * A cell with each text on a line of its own, none of which can reach into another.
 * @param {unknown[]} texts
 * @param {string} [kind]
 */
export function cell(texts, kind = "") {
  return make("td", { class: kind }, ...texts.map((text) => make("span", {}, plain(text))));
}

/**
 * @param {HTMLElement} input
 * @param {string} label
 */
export function field(input, label) {
  return make("div", { class: "field" }, make("label", { for: input.id }, label), input);
}
