/**
 * <tg-call>: the call under way: picture and sound, who takes part, what is protected how, and the way out. For
 * statistics and tests its `peerConnection` is the call's RTCPeerConnection, or null.
 *
 * @import {Call, Session} from "../protocol/state.js"
 * @import {Contact} from "../protocol/frames.js"
 */

import { isLive } from "../protocol/calls.js";
import { duration, nameWithSide } from "../protocol/words.js";
import { canShowScreen } from "../rtc/screen.js";
import { ClientElement } from "./client-element.js";
import { invitedAs, sideBadge } from "./contact-words.js";
import { button, make, setText, showList } from "./markup.js";
import { problemText } from "./problem-text.js";
import { CallFigures } from "./tg-call-figures.js";

const PRIVACY = "One-to-one sound and picture are encrypted end to end between the two of you: the edge passes them on and " +
  "does not inspect them. Chat is different: it goes through the edge, which can read it and keeps a record of it.";
const SCREEN_PRIVACY = "It is encrypted end to end like the call, and what it shows is not inspected.";
const EVERY_SECOND_MS = 1000;

class CallView extends ClientElement {
  #title = make("h2", { tabindex: -1 });
  #phase = make("p", { class: "phase", role: "status" });
  #timer = make("span", { class: "timer", role: "timer", "aria-label": "Call time" });
  #remote = make("video", { class: "remote", autoplay: true, playsinline: true, "aria-label": "Picture of the other party" });
  #local = make("video", { class: "local", autoplay: true, playsinline: true, muted: true, "aria-label": "Your own picture" });
  #screen = make("video", { class: "screen", autoplay: true, playsinline: true, muted: true, "aria-label": "Screen of the other party" });
  #sharing = make("p", { class: "sharing", role: "status" });
  #shareTrouble = make("p", { class: "share-trouble" });
  #noPicture = make("p", { class: "no-picture" });
  #remarks = make("ul", { class: "plain remarks" });
  #people = make("ul", { class: "plain people", "aria-label": "Participants" });
  #mute = button("Mute", () => this.#toggleMute());
  #camera = button("Camera off", () => this.#toggleCamera());
  #share = button("Share screen", () => this.client.dispatch({ event: "screen.start" }));
  #unshare = button("Stop sharing", () => this.client.dispatch({ event: "screen.stop" }));
  #hangUp = button("Hang up", () => this.client.dispatch({ event: "call.leave" }), { class: "danger" });
  #close = button("Close", () => this.client.dispatch({ event: "call.dismiss" }), { class: "primary" });
  #play = button("Play sound", () => void this.#remote.play());
  #privacy = make("p", { class: "soft privacy" }, PRIVACY);
  #figures = new CallFigures();
  #stage = make("div", { class: "stage" }, this.#noPicture, this.#screen, this.#remote, this.#local);
  #ending = make("p", { class: "ending" });
  #participants = make("div", {}, make("h3", {}, "Participants"), this.#people);
  #tick = 0;
  #attempt = 0;

  get peerConnection() {
    return this.client.media?.peerConnection ?? null;
  }

  build() {
    // The attribute alone does not silence an element made by a script.
    this.#local.muted = true;
    this.#screen.muted = true;
    this.#remote.addEventListener("resize", () => this.show(this.client.state));
    this.append(
      make("header", {}, this.#title, this.#timer),
      this.#phase,
      this.#ending,
      this.#remarks,
      this.#sharing,
      this.#shareTrouble,
      this.#stage,
      make("div", { class: "controls" }, this.#mute, this.#camera, this.#share, this.#unshare, this.#play, this.#hangUp,
        this.#close),
      this.#participants,
      this.#privacy,
      this.#figures,
    );
  }

  /** @param {Session} state */
  show(state) {
    const call = state.call;
    this.hidden = call === null || call.phase === "incoming";
    this.#keepTime(call);
    if (call === null || call.phase === "incoming") return this.#showStreams(false);
    const live = isLive(call);
    this.setAttribute("data-phase", call.phase);
    this.#title.replaceChildren(...[`Call with ${call.peer.name} `, sideBadge(call.peer)].filter((part) => part !== null));
    setText(this.#phase, live ? phaseWords(call) : "");
    this.#phase.hidden = !live;
    this.#showEnding(call);
    const remarks = call.trouble !== null && live ? [call.trouble, ...call.remarks] : call.remarks;
    showList(this.#remarks, remarks.map((text) => ({ text })), ({ text }) => text, ({ text }) => make("li", {}, text));
    this.#showPeople(state.you, call.peer);
    this.#showStreams(live);
    this.#showSharing(state.you, call, live);
    this.#showControls(call, live);
    if (call.attempt !== this.#attempt) {
      this.#attempt = call.attempt;
      this.#title.focus({ preventScroll: true });
    }
  }

  /** @param {Call} call */
  #showEnding(call) {
    this.#ending.hidden = call.phase !== "ended";
    if (call.problem !== null) this.#ending.replaceChildren(problemText(call.problem));
    else setText(this.#ending, call.ending ?? "");
  }

  /**
   * @param {Contact | null} you
   * @param {Contact} peer
   */
  #showPeople(you, peer) {
    const people = you === null ? [peer] : [you, peer];
    showList(this.#people, people, ({ party }) => party, (person) => make("li", {},
      make("span", { class: "name" }, person.name),
      person === you ? " (you)" : "",
      " ",
      sideBadge(person) ?? make("span", { class: "badge" }, "inside"), " ",
      invitedAs(person)));
  }

  /** @param {boolean} live */
  #showStreams(live) {
    const remote = live ? this.client.media?.remoteStream ?? null : null;
    const local = live ? this.client.localStream : null;
    if (this.#remote.srcObject !== remote) {
      this.#remote.srcObject = remote;
      if (remote !== null) this.#remote.play().then(() => this.#blocked(false), () => this.#blocked(true));
    }
    if (this.#local.srcObject !== local) this.#local.srcObject = local;
    this.#stage.hidden = !live;
    const picture = remote !== null && this.#remote.videoWidth > 0;
    this.#noPicture.hidden = picture;
    setText(this.#noPicture, remote === null ? "" : "No picture from the other party.");
    this.#stage.toggleAttribute("data-picture", picture);
    this.#local.hidden = !local?.getVideoTracks().some((track) => track.enabled);
    this.#figures.follow(live ? this.client.media : null);
  }

  /**
   * @param {Contact | null} you
   * @param {Call} call
   * @param {boolean} live
   */
  #showSharing(you, call, live) {
    const theirs = live && call.sharing === call.peer.party;
    const mine = live && call.sharing !== null && call.sharing === you?.party;
    const screen = theirs ? this.client.media?.remoteScreen ?? null : null;
    if (this.#screen.srcObject !== screen) {
      this.#screen.srcObject = screen;
      // Without sound nothing hinders it from playing.
      if (screen !== null) void this.#screen.play().catch(() => undefined);
    }
    this.#screen.hidden = screen === null;
    this.#stage.toggleAttribute("data-screen", screen !== null);
    if (screen !== null) this.#noPicture.hidden = true;
    this.#sharing.hidden = !theirs && !mine;
    const who = theirs ? `${nameWithSide(call.peer)} shows you their screen.` : `You show your screen to ${nameWithSide(call.peer)}.`;
    setText(this.#sharing, this.#sharing.hidden ? "" : `${who} ${SCREEN_PRIVACY}`);
    this.#shareTrouble.hidden = !live || call.share_trouble === null;
    this.#shareTrouble.replaceChildren(...(live && call.share_trouble !== null ? [problemText(call.share_trouble)] : []));
    const busy = call.screen === "asking" || call.screen === "shown" || mine;
    this.#unshare.hidden = !live || !busy;
    this.#share.hidden = !live || busy || theirs || call.phase !== "active" || !canShowScreen();
    this.#share.disabled = call.screen === "choosing";
  }

  /** @param {boolean} blocked the browser wants a click before it plays sound */
  #blocked(blocked) {
    this.#play.hidden = !blocked || this.#remote.srcObject === null || !this.#remote.paused;
  }

  /**
   * @param {Call} call
   * @param {boolean} live
   */
  #showControls(call, live) {
    const local = this.client.localStream;
    const talking = live && local !== null;
    this.#mute.hidden = !talking || local.getAudioTracks().length === 0;
    this.#camera.hidden = !talking || local.getVideoTracks().length === 0;
    setText(this.#mute, call.muted ? "Unmute" : "Mute");
    setText(this.#camera, call.camera_off ? "Camera on" : "Camera off");
    this.#hangUp.hidden = !live;
    this.#close.hidden = live;
    this.#privacy.hidden = !live;
    this.#participants.hidden = !live;
    if (!live) this.#play.hidden = true;
    else this.#blocked(!this.#play.hidden);
  }

  /** @param {Call | null} call */
  #keepTime(call) {
    const since = call !== null && isLive(call) ? call.connected_at_ms : null;
    window.clearInterval(this.#tick);
    this.#timer.hidden = since === null;
    if (since === null) return;
    const write = () => setText(this.#timer, duration(Date.now() - since));
    write();
    this.#tick = window.setInterval(write, EVERY_SECOND_MS);
  }

  #toggleMute() {
    const call = this.client.state.call;
    if (call !== null) this.client.dispatch({ event: "call.mute", muted: !call.muted });
  }

  #toggleCamera() {
    const call = this.client.state.call;
    if (call !== null) this.client.dispatch({ event: "call.camera", off: !call.camera_off });
  }
}

/** @param {Call} call */
function phaseWords(call) {
  const name = nameWithSide(call.peer);
  switch (call.phase) {
    case "preparing":
    case "answering":
      return "Opening microphone and camera. Your browser may ask you to allow it.";
    case "inviting":
      return `Calling ${name}…`;
    case "ringing":
      return `Ringing ${name}…`;
    case "connecting":
      return "Connecting sound and picture through the relay…";
    case "active":
      return call.interrupted ? "Sound and picture are interrupted. Waiting for them to come back…" : `Connected to ${name}`;
    default:
      return "";
  }
}

customElements.define("tg-call", CallView);
