/**
 * <tg-invitations>: invite a guest, copy the link; see how each invitation stands, ask for another link, revoke.
 *
 * @import {InvitationInfo} from "../protocol/frames.js"
 * @import {FreshInvitation, Session} from "../protocol/state.js"
 */

import { standing } from "../protocol/words.js";
import { ClientElement } from "./client-element.js";
import { copyButton } from "./copy-button.js";
import { button, make, setText, showList } from "./markup.js";
import { problemText } from "./problem-text.js";

class Invitations extends ClientElement {
  #guest = make("input", { id: "invitation-guest", required: true, maxlength: 80, autocomplete: "off" });
  #email = make("input", { id: "invitation-email", type: "email", maxlength: 254, autocomplete: "off" });
  #purpose = make("input", { id: "invitation-purpose", required: true, maxlength: 200, autocomplete: "off" });
  #expiry = make("select", { id: "invitation-expiry" },
    make("option", { value: "" }, "Default"),
    make("option", { value: "3600" }, "1 hour"),
    make("option", { value: "28800" }, "8 hours"),
    make("option", { value: "86400" }, "1 day"),
    make("option", { value: "604800" }, "7 days"));
  #redemptions = make("input", { id: "invitation-redemptions", type: "number", min: 1, max: 100, value: 1, required: true });
  #submit = make("button", { type: "submit", class: "primary" }, "Create invitation");
  #problem = make("p", { role: "alert" });
  #fresh = make("div", { class: "fresh" });
  #open = make("h3", {}, "Open invitations");
  #list = make("ul", { class: "plain" });
  /** @type {FreshInvitation | null} */
  #shown = null;

  build() {
    const field = (/** @type {HTMLElement} */ input, /** @type {string} */ label) =>
      make("div", { class: "field" }, make("label", { for: input.id }, label), input);
    this.append(
      make("details", {},
        make("summary", {}, make("h2", {}, "Invite a guest")),
        make("form", { onsubmit: (event) => this.#ask(event) },
          field(this.#guest, "Guest's name"),
          field(this.#email, "Guest's e-mail address"),
          field(this.#purpose, "What for"),
          make("div", { class: "pair" }, field(this.#expiry, "Valid for"), field(this.#redemptions, "Times usable")),
          this.#submit)),
      this.#problem,
      this.#fresh,
      this.#open,
      this.#list,
    );
  }

  /** @param {Session} state */
  show(state) {
    this.#submit.disabled = state.link !== "online" || state.invitation_ref !== null;
    setText(this.#submit, state.invitation_ref === null ? "Create invitation" : "Creating…");
    const problem = state.invitation_problem;
    if (problem === null) this.#problem.replaceChildren();
    else if (!this.#problem.hasChildNodes()) this.#problem.append(problemText(problem));
    if (state.fresh_invitation !== this.#shown) this.#showFresh(state.fresh_invitation);
    this.#open.hidden = state.invitations.length === 0;
    showList(this.#list, state.invitations, (i) => i.invitation_id, (invitation) => this.#row(invitation));
  }

  /** @param {FreshInvitation | null} fresh */
  #showFresh(fresh) {
    this.#shown = fresh;
    this.#fresh.replaceChildren();
    if (fresh === null) return;
    if (!fresh.again) for (const input of [this.#guest, this.#email, this.#purpose]) input.value = "";
    const once = "Give it to your guest yourself. It is shown only this once.";
    const id = "invitation-link";
    this.#fresh.append(
      make("label", { for: id }, `Link for ${fresh.invitation.guest_name}`),
      make("input", { id, readonly: true, value: fresh.link, onfocus: (event) => event.target.select() }),
      make("p", { class: "soft" }, fresh.again ? `The link before it is worth nothing any more. ${once}` : once),
      make("div", { class: "actions" },
        copyButton("Copy link", () => fresh.link),
        button("Done", () => this.client.dispatch({ event: "invitation.put_away" }), { class: "small" })),
    );
  }

  /** @param {InvitationInfo} invitation */
  #row(invitation) {
    const { invitation_id, guest_name, guest_email = null, purpose } = invitation;
    const again = () => this.client.dispatch({ event: "invitation.again", ref: crypto.randomUUID(), invitation_id });
    const revoke = () => this.client.dispatch({ event: "invitation.withdraw", invitation_id });
    return make("li", {},
      make("span", { class: "who" },
        make("span", { class: "name" }, guest_name),
        guest_email === null ? null : make("span", { class: "soft" }, guest_email),
        make("span", { class: "soft" }, "for: ", make("span", { class: "name" }, purpose)),
        make("span", { class: "soft" }, standing(invitation, Date.now()))),
      make("span", { class: "actions" },
        button("New link", again, { class: "small", "aria-label": `New link: invitation for ${guest_name}` }),
        button("Revoke", revoke, { class: "small", "aria-label": `Revoke the invitation for ${guest_name}` })),
    );
  }

  /** @param {SubmitEvent} event */
  #ask(event) {
    event.preventDefault();
    this.#problem.replaceChildren();
    this.client.dispatch({
      event: "invitation.ask",
      ref: crypto.randomUUID(),
      guest_name: this.#guest.value.trim(),
      guest_email: this.#email.value.trim() || null,
      purpose: this.#purpose.value.trim(),
      expires_in_seconds: this.#expiry.value === "" ? null : Number(this.#expiry.value),
      redemptions: Number(this.#redemptions.value),
    });
  }
}

customElements.define("tg-invitations", Invitations);
