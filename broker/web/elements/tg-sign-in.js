/**
 * <tg-sign-in>: the organisation's notice, which stays until it is acknowledged, and the sign-in form, which cannot be
 * sent before. Fires `signed-in`.
 */

import { post } from "../protocol/http.js";
import { make } from "./markup.js";
import { Pause } from "./pause.js";
import { problemText } from "./problem-text.js";

class SignIn extends HTMLElement {
  #farewell = make("p", { class: "farewell", role: "status" });
  #notice = make("p", { class: "notice" });
  #seen = make("input", { id: "sign-in-acknowledged", type: "checkbox" });
  #acknowledgement = make("div", { class: "check" }, this.#seen,
    make("label", { for: "sign-in-acknowledged" }, "I have read this notice and agree to it."));
  #problem = make("p", { role: "alert" });
  #login = make("input", { id: "sign-in-login", name: "login", autocomplete: "username", required: true,
    autocapitalize: "none", spellcheck: "false", maxlength: 256 });
  #password = make("input", { id: "sign-in-password", name: "password", type: "password", required: true,
    autocomplete: "current-password", maxlength: 1024 });
  #submit = make("button", { type: "submit", class: "primary" }, "Sign in");
  #pause = new Pause(this.#submit);

  connectedCallback() {
    this.replaceChildren(
      make("form", { class: "card", onsubmit: (event) => void this.#signIn(event) },
        ...this.heading(),
        this.#farewell,
        this.#notice,
        this.#acknowledgement,
        make("div", { class: "field" }, make("label", { for: "sign-in-login" }, "Name"), this.#login),
        make("div", { class: "field" }, make("label", { for: "sign-in-password" }, "Password"), this.#password),
        ...this.further(),
        this.#problem,
        this.#pause.words,
        this.#submit,
      ),
    );
  }

  /** @returns {HTMLElement[]} what this place is */
  heading() {
    return [make("h1", {}, "Turngate"),
      make("p", { class: "soft" }, "Chat and calls with people inside and outside your organisation.")];
  }

  /** @returns {HTMLElement[]} what is asked besides name and password */
  further() {
    return [];
  }

  /** @returns {Promise<Record<string, unknown> | string>} the answers to that, or why there are none */
  async answers() {
    return {};
  }

  /**
   * @param {string} notice
   * @param {string | null} farewell why the person is asked to sign in again
   */
  open(notice, farewell) {
    this.#notice.textContent = notice;
    for (const part of [this.#notice, this.#acknowledgement]) part.hidden = notice === "";
    if (this.hidden) this.#seen.checked = false;
    this.#seen.required = notice !== "";
    this.#farewell.textContent = farewell ?? "";
    this.#farewell.hidden = farewell === null;
    this.hidden = false;
    (notice === "" ? this.#login : this.#seen).focus();
  }

  /** @param {SubmitEvent} event */
  async #signIn(event) {
    event.preventDefault();
    this.#submit.disabled = true;
    this.#problem.replaceChildren();
    const further = await this.answers();
    if (typeof further === "string") {
      this.#submit.disabled = false;
      this.#problem.textContent = further;
      return;
    }
    const asked = { login: this.#login.value, password: this.#password.value, ...further,
      notice_acknowledged: this.#seen.checked };
    const answer = await post("/api/sign-in", asked);
    this.#submit.disabled = false;
    this.#pause.after(answer);
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

customElements.define("tg-sign-in", SignIn);
export { SignIn };
