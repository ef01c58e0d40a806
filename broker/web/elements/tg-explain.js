/**
 * <tg-explain>: asks the gate without effect, and shows which rules made the answer and why each other one did not.
 *
 * @import {Explanation} from "../protocol/admin.js"
 */

import { ACTIONS, plain } from "../protocol/admin.js";
import { post } from "../protocol/http.js";
import { AdminPage, cell, field, table } from "./admin-page.js";
import { make } from "./markup.js";

class Explain extends AdminPage {
  #as = make("input", { id: "explain-as", required: true, maxlength: 320, autocomplete: "off", placeholder: "login or guest" });
  #from = make("input", { id: "explain-from", maxlength: 64, autocomplete: "off", placeholder: "address" });
  #to = make("input", { id: "explain-to", maxlength: 320, autocomplete: "off", placeholder: "login or guest:mail@domain" });
  #toFrom = make("input", { id: "explain-to-from", maxlength: 64, autocomplete: "off", placeholder: "address" });
  #action = make("select", { id: "explain-action" }, ...ACTIONS.map((action) => make("option", { value: action }, action)));
  #at = make("input", { id: "explain-at", maxlength: 40, autocomplete: "off", placeholder: "now" });
  #result = make("div", { class: "result", "aria-live": "polite" });

  build() {
    this.#result.replaceChildren();
    this.append(make("h2", {}, "Explain"),
      make("form", { class: "line", onsubmit: (event) => void this.#ask(event) },
        field(this.#as, "Who"), field(this.#from, "from"), field(this.#action, "does"), field(this.#to, "with whom"),
        field(this.#toFrom, "at"), field(this.#at, "when"),
        make("button", { type: "submit", class: "primary" }, "Explain")),
      this.#result);
  }

  /** @param {SubmitEvent} event */
  async #ask(event) {
    event.preventDefault();
    this.#result.replaceChildren();
    const given = (/** @type {HTMLInputElement} */ input) => input.value.trim() || null;
    const body = this.bodyOf(await post("/api/policy/explain", { as: this.#as.value.trim(), to: given(this.#to),
      action: this.#action.value, at: given(this.#at), source: given(this.#from), to_source: given(this.#toFrom) }));
    if (body !== null) this.#show(/** @type {Explanation} */ (/** @type {unknown} */ (body)));
  }

  /** @param {Explanation} explanation */
  #show({ decision, winning, losing, losing_omitted, silence }) {
    const rows = make("tbody", {},
      ...winning.map((rule) => make("tr", {}, cell([rule.id]), cell([`made the answer (${rule.effect})`]),
        cell([rule.owner]), cell([rule.reason]))),
      ...losing.map((rule) => make("tr", {}, cell([rule.rule_id]), cell([`lost by ${rule.condition}`]),
        cell([rule.inside_party]), cell([]))));
    this.#result.append(
      make("p", {}, make("strong", { class: decision.effect === "allow" ? "allow" : "deny" },
        decision.effect === "allow" ? "Allowed" : "Denied"), " ", make("code", {}, plain(decision.code))),
      make("p", {}, plain(decision.admin_sentence, 600)));
    if (silence !== null) this.#result.append(make("p", { class: "soft" }, plain(silence, 600)));
    if (winning.length + losing.length > 0) {
      this.#result.append(table("Rules", ["Rule", "What became of it", "Owner, or read for", "Reason"], rows));
    }
    if (losing_omitted > 0) this.#result.append(make("p", { class: "soft" }, `And ${losing_omitted} more rules lost.`));
  }
}

customElements.define("tg-explain", Explain);
