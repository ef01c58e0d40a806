/**
 * <tg-devices>: try camera and microphone before anybody sees or hears them, choose others, or do without.
 * `wish` is what was settled on. Fires `settled` when the person goes on.
 *
 * @import {MediaKind, Wish} from "../rtc/devices.js"
 */

import { closeDevices, listDevices, openDevices } from "../rtc/devices.js";
import { button, make, showList } from "./markup.js";

class Devices extends HTMLElement {
  #preview = make("video", { autoplay: true, playsinline: true, muted: true, "aria-label": "Your own picture" });
  #words = make("p", { role: "status" });
  #remarks = make("ul", { class: "plain remarks", role: "alert" });
  #choices = {
    audio: make("select", { id: "choose-audio", onchange: () => void this.#try() }),
    video: make("select", { id: "choose-video", onchange: () => void this.#try() }),
  };
  #fields = make("div", { class: "pair" },
    make("div", { class: "field" }, make("label", { for: "choose-video" }, "Camera"), this.#choices.video),
    make("div", { class: "field" }, make("label", { for: "choose-audio" }, "Microphone"), this.#choices.audio));
  #tryOut = button("Try camera and microphone", () => void this.#try());
  #withBoth = button("Join with camera and microphone", () => this.#settle(true, true), { class: "primary" });
  #withSound = button("Join with microphone only", () => this.#settle(true, false));
  #withNone = button("Join without camera or microphone", () => this.#settle(false, false));
  /** @type {MediaStream | null} */
  #stream = null;
  #tries = 0;
  /** @type {Wish} */
  wish = { audio: true, video: true };

  connectedCallback() {
    this.#preview.muted = true;
    this.replaceChildren(
      make("h2", { tabindex: -1 }, "Camera and microphone"),
      this.#words, this.#remarks, this.#preview, this.#fields, this.#tryOut,
      make("div", { class: "ways" }, this.#withBoth, this.#withSound, this.#withNone));
    this.#showFound();
  }

  disconnectedCallback() {
    this.#letGo();
  }

  /** Puts the reader at the heading. */
  begin() {
    this.querySelector("h2")?.focus();
  }

  async #try() {
    this.#tries += 1;
    const current = this.#tries;
    this.#letGo();
    this.#words.textContent = "Your browser may ask you to allow it.";
    const { stream, remarks } = await openDevices(this.#choice(true, true));
    if (current !== this.#tries) return closeDevices(stream);
    this.#stream = stream;
    this.#preview.srcObject = stream;
    showList(this.#remarks, remarks.map((text) => ({ text })), ({ text }) => text, ({ text }) => make("li", {}, text));
    this.#showFound();
    for (const kind of /** @type {MediaKind[]} */ (["audio", "video"])) await this.#showChoices(kind);
  }

  #showFound() {
    const tried = this.#tries > 0;
    const has = (/** @type {MediaKind} */ kind) => this.#stream?.getTracks().some((track) => track.kind === kind) ?? false;
    const [camera, microphone] = [has("video"), has("audio")];
    this.#words.textContent = foundWords(tried, camera, microphone);
    this.#preview.hidden = !camera;
    this.#fields.hidden = !camera && !microphone;
    this.#tryOut.textContent = tried ? "Try again" : "Try camera and microphone";
    this.#withBoth.disabled = tried && !camera;
    this.#withSound.disabled = tried && !microphone;
  }

  /** @param {MediaKind} kind */
  async #showChoices(kind) {
    const select = this.#choices[kind];
    const before = select.value;
    const found = await listDevices(kind);
    const name = kind === "audio" ? "Microphone" : "Camera";
    select.replaceChildren(...found.map(({ device_id, label }, index) =>
      make("option", { value: device_id, selected: device_id === before }, label || `${name} ${index + 1}`)));
    select.disabled = found.length < 2;
  }

  /**
   * @param {boolean} audio
   * @param {boolean} video
   * @returns {Wish}
   */
  #choice(audio, video) {
    return { audio, video, audio_device_id: this.#choices.audio.value, video_device_id: this.#choices.video.value };
  }

  /**
   * @param {boolean} audio
   * @param {boolean} video
   */
  #settle(audio, video) {
    this.#letGo();
    this.wish = this.#choice(audio, video);
    this.dispatchEvent(new CustomEvent("settled"));
  }

  #letGo() {
    closeDevices(this.#stream);
    this.#stream = null;
    this.#preview.srcObject = null;
  }
}

/**
 * @param {boolean} tried
 * @param {boolean} camera
 * @param {boolean} microphone
 */
function foundWords(tried, camera, microphone) {
  if (!tried) return "Nobody sees or hears you before you are in a call. You can also take part without them.";
  if (camera && microphone) return "Camera and microphone work.";
  if (camera) return "The camera works. Others will not hear you.";
  if (microphone) return "The microphone works. Others will not see you.";
  return "You can still join: you will see and hear others, and you can write.";
}

customElements.define("tg-devices", Devices);
export { Devices };
