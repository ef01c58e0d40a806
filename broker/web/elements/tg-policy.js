/**
 * <tg-policy>: what is in force, what was, and putting another text in force.
 *
 * @import {Applied, Checked, PolicyState} from "../protocol/admin.js"
 */

import { MAY_SET_POLICY, moment, plain } from "../protocol/admin.js";
import { get, post } from "../protocol/http.js";
import { AdminPage, cell, table } from "./admin-page.js";
import { button, make } from "./markup.js";

class Policy extends AdminPage {
  #state = make("div", { "aria-live": "polite" });
  #history = make("tbody");
  #result = make("div", { "aria-live": "polite" });
  #text = make("textarea", { id: "policy-text", spellcheck: "false", maxlength: 4194304 });
  #confirm = make("div", { class: "actions" });

  build() {
    this.#result.replaceChildren();
    this.append(make("h2", {}, "Policy"), this.#state);
    if (this.#maySet) {
      this.append(make("label", { for: "policy-text" }, "Another policy"), this.#text,
        make("div", { class: "actions" },
          button("Check", () => void this.#check()),
          button("Apply", () => this.#ask("Apply this policy?", () => this.#change("apply", { text: this.#text.value })),
            { class: "primary" })),
        this.#confirm, this.#result);
    }
    this.append(make("h3", {}, "History"),
      table("History", ["Revision", "In force since", "By", "How", "Hash", ...(this.#maySet ? [""] : [])], this.#history));
    void this.#refresh();
  }

  get #maySet() {
    return this.role !== null && MAY_SET_POLICY.includes(this.role);
  }

  async #refresh() {
    const body = this.bodyOf(await get("/api/policy"));
    if (body === null) return;
    this.#show(/** @type {PolicyState} */ (/** @type {unknown} */ (body)));
    const history = this.bodyOf(await get("/api/policy/history"));
    if (history === null) return;
    this.#history.replaceChildren(...(/** @type {Applied[]} */ (history["applied"])).map((one) => this.#row(one)));
  }

  /** @param {PolicyState} state */
  #show({ revision, sha256, applied_at_ms, applied_by, how, alarm }) {
    const facts = [["Revision", revision], ["Hash", sha256], ["In force since", moment(applied_at_ms)],
      ["By", applied_by ?? `the ${how === "start" ? "start of the edge" : "file"}`]];
    const list = make("dl", {}, ...facts.flatMap(([name, value]) =>
      [make("dt", {}, String(name)), make("dd", {}, plain(value))]));
    this.#state.replaceChildren(list);
    if (alarm === null) return;
    this.#state.prepend(make("div", { class: "alarm", role: "alert" },
      make("strong", {}, `The policy file cannot be used since ${moment(alarm.at_ms)}. This policy goes on.`),
      make("ul", {}, ...alarm.errors.map((error) => make("li", {}, plain(error, 600))))));
  }

  /** @param {Applied} applied */
  #row({ revision, sha256, at_ms, by, how }) {
    const row = make("tr", {}, cell([revision]), cell([moment(at_ms)], "narrow"), cell([by ?? ""]), cell([how]),
      cell([String(sha256).slice(0, 16)]));
    if (this.#maySet) {
      const roll = () => this.#ask(`Roll back to revision ${revision}?`, () => this.#change("rollback", { revision }));
      row.append(make("td", { class: "narrow" },
        button("Roll back", roll, { class: "small", "aria-label": `Roll back to revision ${revision}` })));
    }
    return row;
  }

  async #check() {
    const body = this.bodyOf(await post("/api/policy/check", { text: this.#text.value }));
    if (body === null) return;
    const { errors, findings } = /** @type {Checked} */ (/** @type {unknown} */ (body));
    const told = [...errors, ...findings.map((found) => `${found.kind}: ${found.rule_id}: ${found.sentence}`)];
    this.#result.replaceChildren(
      make("p", {}, errors.length > 0 ? "This policy cannot be used:" : told.length > 0 ? "Probably not meant:" : "Nothing to say against it."),
      make("ul", {}, ...told.map((line) => make("li", {}, plain(line, 600)))));
  }

  /**
   * @param {string} question
   * @param {() => Promise<void>} act
   */
  #ask(question, act) {
    const close = () => this.#confirm.replaceChildren();
    const yes = button("Yes", () => {
      close();
      void act();
    }, { class: "danger" });
    this.#confirm.replaceChildren(make("span", {}, question), yes, button("No", close));
    yes.focus();
  }

  /**
   * @param {string} how
   * @param {Record<string, unknown>} body
   */
  async #change(how, body) {
    const changed = this.bodyOf(await post(`/api/policy/${how}`, body));
    if (changed === null) return;
    this.#result.replaceChildren(make("p", {}, `Revision ${Number(changed["revision"])} is in force.`));
    await this.#refresh();
  }
}

customElements.define("tg-policy", Policy);
