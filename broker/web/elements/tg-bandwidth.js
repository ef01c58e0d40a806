/**
 * <tg-bandwidth>: what is used of the bandwidth, in all and of each zone, against its limits: the last hour, or live.
 *
 * @import {Bandwidth, Plot, Row, Span, Way} from "../protocol/bandwidth.js"
 */

import {
  limitRate, otherLimits, plot, plotWords, rowOf, scopes, scopeWords, SIZE, SPANS, usedRate, WAYS,
} from "../protocol/bandwidth.js";
import { get } from "../protocol/http.js";
import { AdminPage, cell, table } from "./admin-page.js";
import { button, make } from "./markup.js";
import { draw } from "./svg.js";

const NOT_KNOWN = "What is used now is not known. Last it was this:";
const REFRESH_MS = { hour: 10_000, live: 1000 };

class BandwidthView extends AdminPage {
  /** @type {Span} */
  #span = "hour";
  #switch = make("div", { class: "actions", role: "group", "aria-label": "Time shown" });
  #plots = make("div", { class: "plots" });
  #rows = make("tbody");
  #highest = make("th", { scope: "col" });
  #others = make("ul", { "aria-label": "Other limits" });
  #othersHead = make("h3", { hidden: true }, "Other limits");
  // Not an alert: it would be read out every second while the edge does not answer.
  #unanswered = make("div", { class: "deny" });
  /** @type {Bandwidth | null} */
  #told = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  build() {
    this.#told = null;
    for (const shown of [this.#plots, this.#rows, this.#others, this.#unanswered]) shown.replaceChildren();
    const figures = table("Bandwidth used", ["Of", "Way", "Now", "Limit"], this.#rows);
    figures.querySelector("thead tr")?.append(this.#highest);
    this.append(make("h2", {}, "Bandwidth"), this.#switch, this.#unanswered, this.#plots, figures, this.#othersHead,
      this.#others);
    this.#choose("hour");
  }

  /** @param {Span} span */
  #choose(span) {
    this.#span = span;
    const spans = /** @type {Span[]} */ (Object.keys(SPANS));
    if (this.#switch.childElementCount === 0) {
      this.#switch.append(...spans.map((one) => button(SPANS[one], () => this.#choose(one), { class: "small" })));
    }
    spans.forEach((one, index) => this.#switch.children[index]?.setAttribute("aria-pressed", String(one === span)));
    this.#show();
    void this.#refresh();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const body = this.bodyOf(await get("/api/bandwidth"), this.#unanswered);
    if (this.role === null) return;
    if (body !== null) this.#told = /** @type {Bandwidth} */ (/** @type {unknown} */ (body));
    else if (this.#told !== null) this.#unanswered.append(make("p", {}, NOT_KNOWN));
    this.#show();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS[this.#span]);
  }

  #show() {
    const told = this.#told;
    if (told === null) return;
    const rows = scopes(told).flatMap((scope) =>
      /** @type {Way[]} */ (Object.keys(WAYS)).map((way) => rowOf(told, scope, way, this.#span)));
    this.#highest.textContent = this.#span === "hour" ? "Highest of the hour" : "Highest of the minute";
    this.#rows.replaceChildren(...rows.map((row) => make("tr", {},
      make("th", { scope: "row" }, scopeWords(row.scope)),
      cell([WAYS[row.way]], "narrow"),
      cell([usedRate(row.newest)], "narrow"),
      cell([limitRate(row.limit)], "narrow"),
      cell([usedRate(row.highest)], "narrow"))));
    this.#plots.replaceChildren(...scopes(told).map((scope) => make("section", {},
      make("h3", {}, scopeWords(scope)),
      make("div", { class: "ways" }, ...rows.filter((row) => row.scope === scope).map((row) => this.#figure(told, row))))));
    const others = otherLimits(told.limits);
    this.#othersHead.hidden = others.length === 0;
    this.#others.replaceChildren(...others.map((words) => make("li", {}, words)));
  }

  /**
   * @param {Bandwidth} told
   * @param {Row} row
   */
  #figure({ series, step_seconds }, row) {
    const bits = series[row.scope]?.[this.#span][row.way] ?? [];
    const words = plotWords(row);
    const label = `${scopeWords(row.scope)}, ${SPANS[this.#span]}. ${words}`;
    return make("figure", {}, make("figcaption", {}, words), drawing(plot(bits, row.limit, this.#span, step_seconds), label));
  }
}

/**
 * @param {Plot} plotted
 * @param {string} label
 */
function drawing({ line, limit, rates, times }, label) {
  const { width, height, left, right, top, bottom } = SIZE;
  const across = (/** @type {number} */ y, /** @type {string} */ kind) =>
    draw("line", { class: kind, x1: left, x2: right, y1: y, y2: y });
  return draw("svg", { role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}` },
    ...rates.flatMap((mark) => [across(mark.at, "grid"),
      draw("text", { x: left - 8, y: mark.at + 4, "text-anchor": "end" }, mark.label)]),
    ...times.flatMap((mark, index) => [draw("line", { class: "grid", x1: mark.at, x2: mark.at, y1: top, y2: bottom + 5 }),
      draw("text", { x: mark.at, y: bottom + 22, "text-anchor": ends(index, times.length) }, mark.label)]),
    draw("polyline", { class: "used", points: line }),
    ...(limit === null ? [] : [across(limit, "limit"),
      draw("text", { class: "limit", x: right - 4, y: limit + (limit < top + 16 ? 15 : -5), "text-anchor": "end" }, "limit")]));
}

/**
 * @param {number} index
 * @param {number} count
 */
function ends(index, count) {
  return index === 0 ? "start" : index === count - 1 ? "end" : "middle";
}

customElements.define("tg-bandwidth", BandwidthView);
