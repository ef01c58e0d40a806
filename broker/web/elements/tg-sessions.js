/**
 * <tg-sessions>: everything open now, and the operator's way to end it.
 *
 * @import {LiveSession} from "../protocol/admin.js"
 */

import { age, eachWay, MAY_END, plain, who } from "../protocol/admin.js";
import { get, post } from "../protocol/http.js";
import { AdminPage, cell, table } from "./admin-page.js";
import { button, make, setText, showList } from "./markup.js";

const REFRESH_MS = 2000;

class Sessions extends AdminPage {
  #rows = make("tbody");
  #more = make("p", { class: "soft", role: "status" });
  /** @type {string | null} */
  #asked = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  build() {
    this.#rows.replaceChildren();
    this.#asked = null;
    const heads = ["Kind", "Parties", "Zone", "Rule", "Age", "Bytes each way", "Transport", ...(this.#mayEnd ? [""] : [])];
    this.append(make("h2", {}, "Live sessions"), table("Live sessions", heads, this.#rows), this.#more);
    clearTimeout(this.#timer);
    void this.#refresh();
  }

  get #mayEnd() {
    return this.role !== null && MAY_END.includes(this.role);
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const body = this.bodyOf(await get("/api/sessions"));
    if (this.role === null) return;
    if (body !== null) {
      const sessions = /** @type {LiveSession[]} */ (body["sessions"]);
      showList(this.#rows, sessions, ({ id }) => id, (session) => this.#row(session));
      const omitted = Number(body["omitted"]);
      setText(this.#more, sessions.length === 0 ? "Nothing is open." : omitted > 0 ? `And ${omitted} more.` : "");
    }
    this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS);
  }

  /** @param {LiveSession} session */
  #row(session) {
    const { kind, state, external, parties, rules } = session;
    const row = make("tr", {},
      cell([kind, external ? "external" : "internal", state], "narrow"),
      cell(parties.map(who)),
      cell(parties.map((party) => party.zone ?? (party.kind === "guest" ? "outside" : "none")), "narrow"),
      make("td", { title: `Decided by ${session.decisions.join(", ")}` },
        ...[...rules, `policy ${session.policy_revision ?? "?"}`].map((text) => make("span", {}, plain(text)))),
      cell([age(session.age_seconds)], "narrow"),
      cell([eachWay(session.bytes)], "narrow"),
      cell(parties.map((party) => party.transport ?? "")));
    if (this.#mayEnd) row.append(make("td", { class: "narrow" }, ...this.#ending(session)));
    return row;
  }

  /** @param {LiveSession} session */
  #ending({ id, kind, parties }) {
    const named = `${kind} of ${parties.map((party) => plain(party.name, 80)).join(" and ")}`;
    if (this.#asked !== id) return [button("End", () => this.#ask(id), { class: "small", "aria-label": `End the ${named}` })];
    return [
      button("End it now", () => void this.#end(id), { class: "small danger", "aria-label": `End the ${named} now` }),
      button("Keep", () => this.#ask(null), { class: "small" }),
    ];
  }

  /** @param {string | null} id */
  #ask(id) {
    this.#asked = id;
    void this.#refresh();
  }

  /** @param {string} session_id */
  async #end(session_id) {
    this.#asked = null;
    const answer = await post("/api/sessions/end", { session_id });
    await this.#refresh();
    this.bodyOf(answer);
  }
}

customElements.define("tg-sessions", Sessions);
