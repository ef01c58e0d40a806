/**
 * <tg-emergency>: what is stopped now, its lifting, and the red button. Fires `stops` (detail: what is stopped) whenever it
 * has looked.
 *
 * @import {Emergency as EmergencyState, Lift, Stop} from "../protocol/emergency.js"
 */

import { MAY_STOP, plain } from "../protocol/admin.js";
import { drillWords, liftWords, scopeWords, stopFacts, STOP_HOLDS } from "../protocol/emergency.js";
import { get, post } from "../protocol/http.js";
import { AdminPage } from "./admin-page.js";
import { button, make, setText, showList } from "./markup.js";
import { StopForm } from "./tg-stop-form.js";

const REFRESH_MS = 2000;

class Emergency extends AdminPage {
  #none = make("p", { class: "soft", role: "status" });
  #list = make("div", { class: "stops" });
  #refused = make("div", { role: "alert", class: "deny" });
  #rehearsed = make("p", { class: "rehearsed", role: "status" });
  #form = new StopForm();
  /** @type {Stop[]} */
  #stops = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    super();
    this.#form.addEventListener("rehearse", (event) =>
      void this.#ask("drill", { scope: /** @type {CustomEvent<string>} */ (event).detail }));
    this.#form.addEventListener("stop", (event) =>
      void this.#ask("stop", /** @type {CustomEvent<{scope: string, reason: string}>} */ (event).detail));
  }

  build() {
    this.#stops = [];
    for (const shown of [this.#none, this.#list, this.#refused, this.#rehearsed]) shown.replaceChildren();
    this.append(make("h2", {}, "Emergency stop"), this.#none, this.#list, this.#refused);
    if (this.#mayStop) {
      this.append(this.#form);
      this.#form.clear();
    }
    this.append(this.#rehearsed);
    void this.#refresh();
  }

  get #mayStop() {
    return this.role !== null && MAY_STOP.includes(this.role);
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const body = this.bodyOf(await get("/api/emergency"));
    if (this.role === null) return;
    if (body !== null) {
      this.#form.offer(/** @type {string[]} */ (body["zones"]), /** @type {string[]} */ (body["peers"]));
      this.#show(body);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS);
  }

  /**
   * What was refused stays to be read until the next button.
   * @param {"stop" | "lift" | "drill"} what
   * @param {Record<string, string>} about
   */
  async #ask(what, about) {
    this.#refused.replaceChildren();
    const body = this.bodyOf(await post(`/api/emergency/${what}`, about), this.#refused);
    if (body === null) return;
    this.#show(body);
    if (what === "stop") this.#form.clear();
  }

  /** @param {Record<string, unknown>} body */
  #show(body) {
    const { stops, drill } = /** @type {EmergencyState} */ (/** @type {unknown} */ (body));
    // What is as it was stays the same object, so that its card stays on the page.
    const before = new Map(this.#stops.map((stop) => [JSON.stringify(stop), stop]));
    this.#stops = stops.map((stop) => before.get(JSON.stringify(stop)) ?? stop);
    showList(this.#list, this.#stops, ({ scope }) => scope, (stop) => this.#card(stop));
    setText(this.#none, stops.length === 0 ? "Nothing is stopped." : "");
    setText(this.#rehearsed, drill === null ? "" : drillWords(drill));
    this.dispatchEvent(new CustomEvent("stops", { bubbles: true, detail: this.#stops }));
  }

  /** @param {Stop} stop */
  #card(stop) {
    const words = scopeWords(stop.scope);
    const facts = stopFacts(stop).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
    return make("section", { class: "stop", "aria-label": `Stop of ${words}` },
      make("h3", {}, `Stopped: ${words}`),
      make("p", { class: "holds" }, STOP_HOLDS),
      stop.known ? null : make("p", {}, "The policy in force has no zone or peer of this name: now it covers nobody."),
      make("dl", {}, ...facts),
      ...this.#lifting(stop.scope, words, stop.lift));
  }

  /**
   * @param {string} scope
   * @param {string} words
   * @param {Lift | null} lift
   */
  #lifting(scope, words, lift) {
    const asked = lift === null ? [] : [make("p", {}, liftWords(lift, this.login))];
    if (!this.#mayStop || lift?.login === this.login) return asked;
    const label = lift === null ? "Ask for the lift" : `Approve the lift asked for by ${plain(lift.login, 80)}`;
    const press = () => void this.#ask("lift", { scope });
    return [...asked, make("div", { class: "actions" },
      button(label, press, { "aria-label": `${label}: ${words}` }))];
  }
}

customElements.define("tg-emergency", Emergency);
