/**
 * <tg-guest-join>: the notice, its acknowledgement, and the guest's name. Fires `acknowledged` (detail: the name).
 *
 * @import {Answer} from "../protocol/http.js"
 */

import { make } from "./markup.js";
import { Pause } from "./pause.js";
import { problemText } from "./problem-text.js";

class GuestJoin extends HTMLElement {
  #notice = make("p", { class: "notice" });
  #contact = make("p", { class: "soft" });
  #problem = make("p", { role: "alert" });
  #name = make("input", { id: "guest-name", required: true, maxlength: 80, autocomplete: "name" });
  #seen = make("input", { id: "guest-acknowledged", type: "checkbox", required: true });
  #submit = make("button", { type: "submit", class: "primary" }, "Continue");
  #pause = new Pause(this.#submit);
  #title = make("h1", { tabindex: -1 }, "You are invited");

  connectedCallback() {
    this.replaceChildren(
      make("form", { class: "card", onsubmit: (event) => this.#go(event) },
        this.#title,
        make("p", {}, "You are about to enter the communications system of another organisation."),
        make("ul", { class: "facts" },
          make("li", {}, "You take part as an outside party, and everybody you talk to sees that."),
          make("li", {}, "Who connects, when, and what is written in the chat is recorded."),
          make("li", {}, "Sound and picture of a call between two people are encrypted between them and not recorded."),
          make("li", {}, "The person who invited you decides whether you are let in.")),
        this.#notice,
        this.#contact,
        make("div", { class: "field" }, make("label", { for: "guest-name" }, "Your name"), this.#name),
        make("div", { class: "check" }, this.#seen,
          make("label", { for: "guest-acknowledged" }, "I have read this notice and agree to take part on these terms.")),
        this.#problem,
        this.#pause.words,
        this.#submit));
  }

  /**
   * @param {string} notice the organisation's own words
   * @param {string} contact whom to ask
   */
  open(notice, contact) {
    this.#notice.textContent = notice;
    this.#notice.hidden = notice === "";
    this.#contact.textContent = `Questions? ${contact}`;
    this.#contact.hidden = contact === "";
    this.hidden = false;
    this.#title.focus();
  }

  /** @param {Extract<Answer, {ok: false}>} problem */
  refuse(problem) {
    this.#pause.after(problem);
    this.#problem.replaceChildren(problemText(problem));
    this.hidden = false;
    this.#name.focus();
  }

  /** @param {SubmitEvent} event */
  #go(event) {
    event.preventDefault();
    const name = this.#name.value.trim();
    if (name === "" || !this.#seen.checked) return;
    this.#problem.replaceChildren();
    this.dispatchEvent(new CustomEvent("acknowledged", { detail: name }));
  }
}

customElements.define("tg-guest-join", GuestJoin);
export { GuestJoin };
