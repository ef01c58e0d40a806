/**
 * <tg-replay>: asks another policy everything that was asked, and shows each verdict that would have been another one.
 *
 * @import {Replayed} from "../protocol/admin.js"
 */

import { plain } from "../protocol/admin.js";
import { post } from "../protocol/http.js";
import { AdminPage, cell, field, table } from "./admin-page.js";
import { make } from "./markup.js";

class Replay extends AdminPage {
  #text = make("textarea", { id: "replay-text", spellcheck: "false", required: true, maxlength: 4194304 });
  #since = make("select", { id: "replay-since" },
    make("option", { value: "3600" }, "the last hour"),
    make("option", { value: "86400" }, "the last day"),
    make("option", { value: "604800", selected: true }, "the last 7 days"),
    make("option", { value: "2592000" }, "the last 30 days"));
  #submit = make("button", { type: "submit", class: "primary" }, "Replay");
  #result = make("div", { class: "result", "aria-live": "polite" });

  build() {
    this.#result.replaceChildren();
    this.append(make("h2", {}, "Replay"),
      make("form", { onsubmit: (event) => void this.#ask(event) },
        field(this.#text, "A candidate"),
        make("div", { class: "actions" }, field(this.#since, "Asked in"), this.#submit)),
      this.#result);
  }

  /** @param {SubmitEvent} event */
  async #ask(event) {
    event.preventDefault();
    this.#submit.disabled = true;
    this.#result.replaceChildren(make("p", {}, "Asking…"));
    const answer = await post("/api/policy/replay", { text: this.#text.value, since_seconds: Number(this.#since.value) },
      { patient: true });
    this.#submit.disabled = false;
    this.#result.replaceChildren();
    const body = this.bodyOf(answer);
    if (body !== null) this.#show(/** @type {Replayed} */ (/** @type {unknown} */ (body)));
  }

  /** @param {Replayed} replayed */
  #show({ decided, unreadable, changed, changed_omitted }) {
    const count = changed.length + changed_omitted;
    this.#result.append(make("p", {}, `${decided} decisions asked again, ${count} would change.` +
      (unreadable > 0 ? ` ${unreadable} could not be asked again.` : "")));
    if (changed.length === 0) return;
    const rows = changed.map((one) => make("tr", {}, cell([one.seq, one.decision_id]), cell([one.ts]), cell([one.action]),
      cell([one.actor, one.counterpart]), cell([`${plain(one.before_code)} →`, one.after_code]), cell(one.rules)));
    const body = make("tbody", {}, ...rows);
    this.#result.append(table("Changed verdicts", ["Record", "When", "Action", "Parties", "Verdict", "Rule"], body));
  }
}

customElements.define("tg-replay", Replay);
