/**
 * <tg-stop-form>: what to stop, and the red button, which asks once more. Fires `rehearse` (detail: the scope) and `stop`
 * (detail: the scope and the reason).
 */

import { plain } from "../protocol/admin.js";
import { capital, MODALITIES, scopeWords, STOP_HOLDS } from "../protocol/emergency.js";
import { field } from "./admin-page.js";
import { button, make, setText } from "./markup.js";

const KINDS = { all: "Everything", zone: "A zone", peer: "A peer's guests", user: "A person", modality: "A kind of communication" };
/** Of the list of peers: none of them. */
const BY_DOMAIN = "";

export class StopForm extends HTMLElement {
  #kind = make("select", { id: "stop-kind", onchange: () => this.#arrange() },
    ...Object.entries(KINDS).map(([value, label]) => make("option", { value }, label)));
  #zone = make("select", { id: "stop-zone", required: true });
  #peer = make("select", { id: "stop-peer", onchange: () => this.#arrange() });
  #domain = make("input", { id: "stop-domain", required: true, maxlength: 64, autocomplete: "off", autocapitalize: "none",
    spellcheck: "false", pattern: ".*[.].*", placeholder: "example.org", title: "A domain with a dot in it" });
  #person = make("input", { id: "stop-person", required: true, maxlength: 64, autocomplete: "off", autocapitalize: "none",
    spellcheck: "false", placeholder: "login" });
  #modality = make("select", { id: "stop-modality" },
    ...Object.entries(MODALITIES).map(([value, label]) => make("option", { value }, capital(label))));
  #reason = make("input", { id: "stop-reason", maxlength: 500, autocomplete: "off", placeholder: "optional" });
  /** @type {[HTMLElement, () => boolean][]} */
  #fields = [
    [field(this.#zone, "Zone"), () => this.#kind.value === "zone"],
    [field(this.#peer, "Peer"), () => this.#kind.value === "peer"],
    [field(this.#domain, "Domain"), () => this.#kind.value === "peer" && this.#peer.value === BY_DOMAIN],
    [field(this.#person, "Login of the person"), () => this.#kind.value === "user"],
    [field(this.#modality, "Kind"), () => this.#kind.value === "modality"],
  ];
  #form = make("form", { class: "line", onsubmit: (event) => this.#rehearse(event) });
  #question = make("h3", { id: "stop-question" });
  #reasonGiven = make("p");
  #yes = button("Stop now", () => this.#stop(), { class: "danger" });
  // A key that is held down does not say yes.
  #no = button("Cancel", () => this.#dialog.close(), { autofocus: true });
  #dialog = make("dialog", { class: "confirm", "aria-labelledby": "stop-question", "aria-describedby": "stop-consequence" },
    this.#question,
    make("p", { id: "stop-consequence" }, `It takes effect at once. ${STOP_HOLDS}`),
    this.#reasonGiven,
    make("div", { class: "actions" }, this.#no, this.#yes));
  #asked = { scope: "", reason: "" };

  connectedCallback() {
    this.#form.replaceChildren(field(this.#kind, "Stop"), ...this.#fields.map(([shown]) => shown),
      field(this.#reason, "Reason"),
      make("div", { class: "actions" },
        make("button", { type: "submit" }, "Rehearse"),
        button("Stop now", () => this.#ask(), { class: "danger" })));
    this.replaceChildren(this.#form, this.#dialog);
    this.#arrange();
  }

  /** Forgets what was chosen. */
  clear() {
    this.#form.reset();
    this.#arrange();
  }

  /**
   * @param {string[]} zones
   * @param {string[]} peers
   */
  offer(zones, peers) {
    const options = [...zones.map((zone) => [zone, plain(zone)])];
    choices(this.#zone, options.length > 0 ? options : [["", "The policy has no zones."]]);
    choices(this.#peer, [...peers.map((peer) => [peer, plain(peer)]), [BY_DOMAIN, "Another domain"]]);
    this.#arrange();
  }

  /** Only the fields that the kind needs; the others do not keep the form from being sent. */
  #arrange() {
    for (const [shown, needed] of this.#fields) {
      shown.hidden = !needed();
      for (const input of shown.querySelectorAll("input, select")) input.toggleAttribute("disabled", shown.hidden);
    }
  }

  get #scope() {
    const kind = this.#kind.value;
    const names = { zone: this.#zone, peer: this.#peer.value === BY_DOMAIN ? this.#domain : this.#peer, user: this.#person,
      modality: this.#modality };
    return kind === "all" ? kind : `${kind}:${names[/** @type {keyof typeof names} */ (kind)].value.trim()}`;
  }

  /** @param {SubmitEvent} event */
  #rehearse(event) {
    event.preventDefault();
    this.dispatchEvent(new CustomEvent("rehearse", { detail: this.#scope }));
  }

  #ask() {
    if (!this.#form.reportValidity()) return;
    this.#asked = { scope: this.#scope, reason: this.#reason.value.trim() };
    const words = scopeWords(this.#asked.scope);
    setText(this.#question, `Stop ${words}?`);
    setText(this.#yes, `Stop ${words}`);
    setText(this.#reasonGiven, this.#asked.reason === "" ? "" : `Reason: ${plain(this.#asked.reason, 600)}`);
    this.#dialog.showModal();
  }

  #stop() {
    this.#dialog.close();
    this.dispatchEvent(new CustomEvent("stop", { detail: this.#asked }));
  }
}

/**
 * Options of a select, made anew only when they are others, so that what was chosen stays.
 * @param {HTMLSelectElement} select
 * @param {string[][]} options values and their words
 */
function choices(select, options) {
  const before = [...select.options].map(({ value, text }) => [value, text]);
  if (JSON.stringify(before) === JSON.stringify(options)) return;
  const chosen = select.value;
  select.replaceChildren(...options.map(([value = "", text = ""]) => make("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

customElements.define("tg-stop-form", StopForm);
