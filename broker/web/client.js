/**
 * The client around the session: performs its commands and brings back what comes of them. It holds what is no plain
 * data (the socket, the devices, the call's media); pages and elements see only `state` and these.
 *
 * @import {Command, Event, Session} from "./protocol/state.js"
 * @import {Wish} from "./rtc/devices.js"
 */

import { reconnectDelayMs } from "./protocol/backoff.js";
import * as http from "./protocol/http.js";
import { reduce } from "./protocol/session.js";
import { EdgeSocket } from "./protocol/socket.js";
import { newSession } from "./protocol/state.js";
import { CallMedia } from "./rtc/call-media.js";
import { closeDevices, openDevices } from "./rtc/devices.js";
import { openScreen } from "./rtc/screen.js";

/** Fires `change` after every event, and `announce` (detail: the command) for what is to be read out. */
export class Client extends EventTarget {
  /** @type {Session} */
  state = newSession();
  /** Own camera and microphone while a call needs them. @type {MediaStream | null} */
  localStream = null;
  /** @type {CallMedia | null} */
  media = null;
  /** What this person shows or is about to. @type {MediaStreamTrack | null} */
  #screen = null;
  /** Chosen devices, and which kinds to use at all. @type {Wish} */
  wish = { audio: true, video: true };
  #socket;
  #reconnect = 0;
  #stillKnown;

  /**
   * @param {string} knownMember of `GET /api/me`: true while the edge knows this person
   */
  constructor(knownMember) {
    super();
    this.#stillKnown = async () => {
      const answer = await http.get("/api/me");
      return !answer.ok || answer.body[knownMember] === true;
    };
    const url = new URL("/ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket = new EdgeSocket(url.href, {
      opened: () => this.dispatch({ event: "link.opened" }),
      frame: (frame) => this.dispatch({ event: "frame", frame }),
      lost: (code, everOpened) => void this.#lost(code, everOpened),
    });
  }

  /** Starts over as nobody and connects. */
  connect() {
    this.disconnect();
    this.#socket.open();
    this.dispatchEvent(new CustomEvent("change"));
  }

  /** Lets go of everything: connection, call, devices, and all that was said. */
  disconnect() {
    clearTimeout(this.#reconnect);
    this.#socket.close();
    this.#closeMedia();
    this.state = newSession();
  }

  /** @param {Event} event */
  dispatch(event) {
    const [state, commands] = reduce(this.state, event);
    this.state = state;
    for (const command of commands) this.#perform(command);
    this.dispatchEvent(new CustomEvent("change"));
  }

  /** @param {Command} command */
  #perform(command) {
    switch (command.command) {
      case "connect":
        return this.#connectLater(command.lost_links);
      case "return":
        return this.#returnAfter(command.after_seconds);
      case "send":
        return void this.#socket.send(command.frame);
      case "announce":
        return void this.dispatchEvent(new CustomEvent("announce", { detail: command }));
      case "devices.acquire":
        return void this.#acquire(command.attempt, command.video);
      case "media.open":
        return this.#openMedia(command);
      case "media.describe":
        return this.media?.describe(command.kind, command.sdp);
      case "media.candidate":
        return this.media?.addCandidate(command.candidate, command.mid);
      case "media.limit":
        return this.media?.limit(command.limits);
      case "screen.acquire":
        return void this.#acquireScreen(command.attempt);
      case "screen.show":
        return this.#screen === null ? undefined : this.media?.showScreen(this.#screen);
      case "screen.offer_again":
        return this.media?.offerAgain();
      case "screen.release":
        return this.#releaseScreen();
      case "media.enable":
        return this.#enable(command.kind, command.enabled);
      case "media.close":
        return this.#closeMedia();
    }
  }

  /** @param {number} lost_links */
  #connectLater(lost_links) {
    clearTimeout(this.#reconnect);
    const delay_ms = reconnectDelayMs(lost_links, Math.random());
    this.#reconnect = window.setTimeout(() => this.#socket.open(), delay_ms);
  }

  /** @param {number} seconds */
  #returnAfter(seconds) {
    clearTimeout(this.#reconnect);
    this.#reconnect = window.setTimeout(() => this.dispatch({ event: "link.return" }), seconds * 1000);
  }

  /**
   * A refused upgrade looks to the page like any other lost connection, so it asks whether it is still known.
   * @param {number} code
   * @param {boolean} everOpened
   */
  async #lost(code, everOpened) {
    if (!everOpened && !(await this.#stillKnown())) this.dispatch({ event: "link.signed_out" });
    else this.dispatch({ event: "link.lost", code, now_ms: Date.now() });
  }

  /**
   * @param {number} attempt
   * @param {boolean} video
   */
  async #acquire(attempt, video) {
    const { stream, remarks } = await openDevices({ ...this.wish, video: video && this.wish.video });
    const call = this.state.call;
    if (call?.attempt !== attempt || (call.phase !== "preparing" && call.phase !== "answering")) {
      return closeDevices(stream);
    }
    closeDevices(this.localStream);
    this.localStream = stream;
    this.#enable("audio", !call.muted);
    this.#enable("video", !call.camera_off);
    this.dispatch({ event: "devices.ready", attempt, remarks });
  }

  /** @param {number} attempt */
  async #acquireScreen(attempt) {
    const { track, sentence } = await openScreen();
    if (track === null) return this.dispatch({ event: "screen.failed", attempt, sentence });
    if (this.state.call?.attempt !== attempt || this.state.call.screen !== "choosing") return track.stop();
    this.#screen = track;
    // The browser has a way of its own to stop it.
    track.addEventListener("ended", () => {
      if (this.#screen === track) this.dispatch({ event: "screen.stop" });
    });
    this.dispatch({ event: "screen.ready", attempt });
  }

  #releaseScreen() {
    this.#screen?.stop();
    this.#screen = null;
    this.media?.hideScreen();
  }

  /** @param {Extract<Command, {command: "media.open"}>} command */
  #openMedia({ attempt, role, media, ice_server }) {
    this.media?.close();
    this.media = new CallMedia(ice_server, media, this.localStream ?? new MediaStream(), {
      described: (kind, sdp) => this.dispatch({ event: "media.described", attempt, kind, sdp }),
      gathered: (candidate, mid) => this.dispatch({ event: "media.gathered", attempt, candidate, mid }),
      connected: () => this.dispatch({ event: "media.connected", attempt, now_ms: Date.now() }),
      interrupted: () => this.dispatch({ event: "media.interrupted", attempt }),
      failed: (sentence) => this.dispatch({ event: "media.failed", attempt, sentence }),
      screenFailed: (sentence) => this.dispatch({ event: "screen.failed", attempt, sentence }),
    });
    if (role === "caller") this.media.offer();
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {boolean} enabled
   */
  #enable(kind, enabled) {
    for (const track of this.localStream?.getTracks() ?? []) if (track.kind === kind) track.enabled = enabled;
  }

  #closeMedia() {
    this.#releaseScreen();
    this.media?.close();
    this.media = null;
    closeDevices(this.localStream);
    this.localStream = null;
  }
}
