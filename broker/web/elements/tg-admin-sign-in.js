/**
 * <tg-admin-sign-in>: sign-in for one role. Fires `signed-in`.
 *
 * @import {Role} from "../protocol/admin.js"
 */

import { ROLES } from "../protocol/admin.js";
import { post } from "../protocol/http.js";
import { make } from "./markup.js";
import { problemText } from "./problem-text.js";

class AdminSignIn extends HTMLElement {
  #farewell = make("p", { class: "farewell", role: "status" });
  #notice = make("p", { class: "notice" });
  #problem = make("p", { role: "alert" });
  #login = make("input", { id: "sign-in-login", autocomplete: "username", required: true, autocapitalize: "none",
    spellcheck: "false", maxlength: 256 });
  #password = make("input", { id: "sign-in-password", type: "password", required: true,
    autocomplete: "current-password", maxlength: 1024 });
  #role = make("select", { id: "sign-in-role" },
    ...Object.entries(ROLES).map(([value, label]) => make("option", { value }, label)));
  #submit = make("button", { type: "submit", class: "primary" }, "Sign in");

  connectedCallback() {
    this.replaceChildren(
      make("form", { class: "card", onsubmit: (event) => void this.#signIn(event) },
        make("h1", {}, "Turngate administration"),
        this.#farewell,
        make("div", { class: "field" }, make("label", { for: "sign-in-login" }, "Name"), this.#login),
        make("div", { class: "field" }, make("label", { for: "sign-in-password" }, "Password"), this.#password),
        make("div", { class: "field" }, make("label", { for: "sign-in-role" }, "Role"), this.#role),
        this.#problem,
        this.#submit,
        this.#notice,
      ),
    );
  }

  /**
   * @param {string} notice
   * @param {string | null} farewell
   */
  open(notice, farewell) {
    this.#notice.textContent = notice;
    this.#notice.hidden = notice === "";
    this.#farewell.textContent = farewell ?? "";
    this.#farewell.hidden = farewell === null;
    this.hidden = false;
    this.#login.focus();
  }

  /** @param {SubmitEvent} event */
  async #signIn(event) {
    event.preventDefault();
    this.#submit.disabled = true;
    this.#problem.replaceChildren();
    const role = /** @type {Role} */ (this.#role.value);
    const answer = await post("/api/sign-in", { login: this.#login.value, password: this.#password.value, role });
    this.#submit.disabled = false;
    this.#password.value = "";
    if (!answer.ok) {
      this.#problem.replaceChildren(problemText(answer));
      this.#password.focus();
      return;
    }
    this.hidden = true;
    this.dispatchEvent(new CustomEvent("signed-in"));
  }
}

customElements.define("tg-admin-sign-in", AdminSignIn);
export { AdminSignIn };
