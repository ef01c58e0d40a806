/**
 * <tg-alarms>: what needs somebody now, and what they can do about it. What is new is read out once.
 *
 * @import {Alarm} from "../protocol/alarms.js"
 */

import { alarmFacts, ALL_WELL, headline, isToldElsewhere, newsWords, silenceWords } from "../protocol/alarms.js";
import { get } from "../protocol/http.js";
import { AdminPage } from "./admin-page.js";
import { make, setText } from "./markup.js";

const REFRESH_MS = 2000;

class Alarms extends AdminPage {
  #quiet = make("p", { class: "soft", role: "status" });
  #list = make("ul", { class: "plain alarms", "aria-label": "Alarms" });
  // The list itself says nothing: it is made anew also when an alarm is over.
  #news = make("p", { class: "read-out-only", role: "alert" });
  // Not an alert: it would be read out at every refresh while the edge does not answer.
  #unanswered = make("div", { class: "deny" });
  /** @type {Alarm[]} */
  #alarms = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  build() {
    this.#alarms = [];
    for (const shown of [this.#quiet, this.#list, this.#news, this.#unanswered]) shown.replaceChildren();
    this.append(make("h2", {}, "Alarms"), this.#unanswered, this.#quiet, this.#list, this.#news);
    void this.#refresh();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const body = this.bodyOf(await get("/api/alarms"), this.#unanswered);
    if (this.role === null) return;
    if (body === null) setText(this.#quiet, silenceWords(this.#alarms));
    else this.#show(/** @type {Alarm[]} */ (body["alarms"]));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS);
  }

  /** @param {Alarm[]} alarms */
  #show(alarms) {
    setText(this.#quiet, alarms.length === 0 ? ALL_WELL : "");
    if (JSON.stringify(alarms) === JSON.stringify(this.#alarms)) return;
    this.#news.textContent = newsWords(this.#alarms, alarms);
    this.#alarms = alarms;
    this.#list.replaceChildren(...alarms.map((alarm) => this.#row(alarm)));
  }

  /** @param {Alarm} alarm */
  #row(alarm) {
    return make("li", { class: isToldElsewhere(alarm) ? "told-elsewhere" : "" },
      make("h3", {}, headline(alarm)),
      make("dl", {}, ...alarmFacts(alarm).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
  }
}

customElements.define("tg-alarms", Alarms);
