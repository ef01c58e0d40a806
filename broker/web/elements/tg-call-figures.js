/**
 * <tg-call-figures>: the path and the counters of a running call, read while they are looked at.
 *
 * @import {CallMedia} from "../rtc/call-media.js"
 * @import {Figures, Flow} from "../rtc/figures.js"
 */

import { limitWords } from "../rtc/limits.js";
import { make, setText } from "./markup.js";

const EVERY_SECOND_MS = 1000;

export class CallFigures extends HTMLElement {
  #path = make("dd");
  #received = make("dd");
  #sent = make("dd");
  #maySend = make("dd");
  #details = make("details", { ontoggle: () => this.#schedule() },
    make("summary", {}, "Connection details"),
    make("dl", {}, make("dt", {}, "Path"), this.#path, make("dt", {}, "Received"), this.#received,
      make("dt", {}, "Sent"), this.#sent, make("dt", {}, "May send"), this.#maySend));
  /** @type {CallMedia | null} */
  #media = null;
  #tick = 0;

  connectedCallback() {
    this.hidden = this.#media === null;
    this.append(this.#details);
  }

  /** @param {CallMedia | null} media */
  follow(media) {
    if (media === this.#media) return;
    this.#media = media;
    this.hidden = media === null;
    this.#schedule();
  }

  #schedule() {
    window.clearInterval(this.#tick);
    if (this.#media === null || !this.#details.open) return;
    this.#tick = window.setInterval(() => void this.#read(), EVERY_SECOND_MS);
    void this.#read();
  }

  async #read() {
    const media = this.#media;
    const figures = await media?.figures();
    if (media === null || figures === undefined) return;
    setText(this.#path, pathWords(figures));
    setText(this.#received, flowWords(figures.received, "decoded"));
    setText(this.#sent, flowWords(figures.sent, "encoded"));
    setText(this.#maySend, limitWords(media.limits));
  }
}

/** @param {Figures} figures */
function pathWords({ path }) {
  if (path === null) return "No path chosen yet.";
  const delay = path.round_trip_ms === null ? "" : `, ${path.round_trip_ms} ms there and back`;
  return `${path.local} to ${path.remote}, ${path.relay_protocol} to the relay${delay}`;
}

/**
 * @param {{audio: Flow, video: Flow}} flows
 * @param {string} verb
 */
function flowWords({ audio, video }, verb) {
  const lost = audio.lost + video.lost;
  const kilobytes = Math.round((audio.bytes + video.bytes) / 1000);
  const words = [`${audio.packets} sound and ${video.packets} picture packets`, `${kilobytes} kB`, `${video.frames} frames ${verb}`];
  if (lost > 0) words.push(`${lost} lost`);
  return words.join(", ");
}

customElements.define("tg-call-figures", CallFigures);
