/**
 * The media of one call: one RTCPeerConnection that only ever uses the relay. It knows no socket: descriptions and
 * candidates go out through its listener and come in through its methods.
 *
 * @import {MediaKind} from "./devices.js"
 * @import {Figures} from "./figures.js"
 * @import {GatheringError} from "./relay-trouble.js"
 * @import {Limits} from "../protocol/state.js"
 */

import { figures } from "./figures.js";
import { keepTo, UNLIMITED } from "./limits.js";
import { reachableUrls } from "./relay-path.js";
import { relayTrouble } from "./relay-trouble.js";

/** A relay that answers does so in a moment; browsers themselves wait some 40 seconds before they say it did not. */
const RELAY_PATIENCE_MS = 8000;
/** An offer that crossed the other side's is made again, each time after twice as long. */
const OFFER_AGAIN_MS = 100;
const MAX_OFFERS_REFUSED = 5;
const SCREEN_REFUSED = "The screen could not be added to the call. Try again.";
const MEDIA_LOST = "The media connection was lost. Hang up and call again.";
const DESCRIPTION_REFUSED = "This browser could not use the other side's media description.";

/**
 * @typedef {object} MediaListener
 * @property {(kind: "offer" | "answer", sdp: string) => void} described
 * @property {(candidate: string, mid: string) => void} gathered "" marks the end of candidates
 * @property {() => void} connected
 * @property {() => void} interrupted
 * @property {(sentence: string) => void} failed
 * @property {(sentence: string) => void} screenFailed
 */

export class CallMedia {
  /** What the other side sends; tracks come and go in it. */
  remoteStream = new MediaStream();
  /** The other side's screen, while it shows one. */
  remoteScreen = new MediaStream();
  /** @type {RTCPeerConnection} */
  #connection;
  #media;
  #localStream;
  #listener;
  /** The screen this side shows. @type {MediaStreamTrack | null} */
  #screen = null;
  #offerDue = false;
  #offersRefused = 0;
  /** Remote candidates that came before the description they belong to. @type {RTCIceCandidateInit[]} */
  #early = [];
  /** Own candidates that came before the description was handed out. @type {[string, string][] | null} */
  #held = [];
  /** @type {GatheringError[]} */
  #gatheringErrors = [];
  #relayCandidates = 0;
  /** Steps that touch the connection, one after the other. */
  #steps = Promise.resolve();
  #closed = false;
  #patience = 0;
  /** The newest there are. @type {Limits} */
  #limits = UNLIMITED;

  /**
   * @param {{urls: string[], username: string, credential: string}} iceServer
   * @param {MediaKind[]} media what was agreed on
   * @param {MediaStream} localStream whose tracks are sent; the caller of this keeps and closes it
   * @param {MediaListener} listener
   */
  constructor(iceServer, media, localStream, listener) {
    this.#media = media;
    this.#localStream = localStream;
    this.#listener = listener;
    this.#connection = new RTCPeerConnection({
      iceServers: [iceServer],
      iceTransportPolicy: "relay",
      bundlePolicy: "max-bundle",
    });
    this.#listen(this.#connection);
    this.#step(async (connection) => {
      const iceServers = [{ ...iceServer, urls: await reachableUrls(iceServer) }];
      if (!this.#closed) connection.setConfiguration({ ...connection.getConfiguration(), iceServers });
    });
  }

  /** For statistics and tests. */
  get peerConnection() {
    return this.#connection;
  }

  /** Makes the first offer, for each agreed kind: sends what there is a device for, receives in any case. */
  offer() {
    this.#step(async (connection) => {
      for (const kind of this.#media) {
        const track = this.#localTrack(kind);
        if (track) connection.addTransceiver(track, { direction: "sendrecv", streams: [this.#localStream] });
        else connection.addTransceiver(kind, { direction: "recvonly" });
      }
      await connection.setLocalDescription();
      this.#handOut("offer");
    });
  }

  /**
   * The other side's description; an offer is answered at once.
   * @param {"offer" | "answer"} type
   * @param {string} sdp
   */
  describe(type, sdp) {
    this.#step(async (connection) => {
      if (type === "offer") await this.#takeBackOffer(connection);
      await connection.setRemoteDescription({ type, sdp });
      if (type === "offer") await this.#answer(connection);
      else this.#offersRefused = 0;
      for (const candidate of this.#early.splice(0)) await this.#addCandidate(candidate);
      await this.#offerIfDue(connection);
    });
  }

  /**
   * Sends a screen too: one more video track, offered to the other side as soon as no other offer is under way.
   * @param {MediaStreamTrack} track
   */
  showScreen(track) {
    this.#step(async (connection) => {
      this.#screen = track;
      this.#offerDue = true;
      await this.#offerIfDue(connection);
    });
  }

  /** Sends none any more. What was agreed on stays: it needs no offer to send nothing. */
  hideScreen() {
    this.#step(async () => {
      this.#offerDue = false;
      this.#screen = null;
      await this.#screenSection()?.sender.replaceTrack(null);
    });
  }

  /** The edge has refused an offer because another was under way: a little later it is made again, a few times. */
  offerAgain() {
    const wait_ms = OFFER_AGAIN_MS * 2 ** this.#offersRefused;
    this.#offersRefused += 1;
    this.#step((connection) => this.#takeBackOffer(connection));
    if (this.#offersRefused > MAX_OFFERS_REFUSED) return this.#listener.screenFailed(SCREEN_REFUSED);
    window.setTimeout(() => this.#step(async (connection) => {
      this.#offerDue = true;
      await this.#offerIfDue(connection);
    }), wait_ms);
  }

  /**
   * The other side's next candidate, "" for the end of them.
   * @param {string} candidate
   * @param {string} mid
   */
  addCandidate(candidate, mid) {
    this.#step(async (connection) => {
      const init = { candidate, sdpMid: mid === "" ? null : mid, sdpMLineIndex: mid === "" ? 0 : null };
      if (connection.remoteDescription === null) this.#early.push(init);
      else await this.#addCandidate(init);
    });
  }

  /**
   * Silences or shows the own track of a kind without another negotiation.
   * @param {MediaKind} kind
   * @param {boolean} enabled
   */
  enable(kind, enabled) {
    const track = this.#localTrack(kind);
    if (track) track.enabled = enabled;
  }

  /** What may be sent now. */
  get limits() {
    return this.#limits;
  }

  /**
   * From now on no more than that is sent.
   * @param {Limits} limits
   */
  limit(limits) {
    this.#limits = limits;
    this.#step(async () => undefined);
  }

  /** @returns {Promise<Figures>} */
  async figures() {
    const reports = /** @type {Map<string, Record<string, any>>} */ (await this.#connection.getStats());
    return figures(reports.values());
  }

  /** Frees the relay's rows; nothing is reported any more. */
  close() {
    this.#closed = true;
    clearTimeout(this.#patience);
    this.#connection.close();
  }

  /** @param {MediaKind} kind */
  #localTrack(kind) {
    return this.#localStream.getTracks().find((track) => track.kind === kind);
  }

  /** Those that are not gone for good. */
  #sections() {
    return this.#connection.getTransceivers().filter(({ direction }) => direction !== "stopped");
  }

  /** The first video beyond what was agreed on when the call began. */
  #screenSection() {
    const videos = this.#sections().filter(({ receiver }) => receiver.track.kind === "video");
    return videos[this.#media.includes("video") ? 1 : 0];
  }

  /**
   * Holds every sender that does not yet to the limits in force. One that cannot take them now, as in the middle of a
   * negotiation, is tried again after the next step.
   */
  async #keepLimits() {
    const screen = this.#screenSection();
    for (const section of this.#sections()) {
      const { sender, receiver } = section;
      const medium = section === screen ? "screen" : /** @type {MediaKind} */ (receiver.track.kind);
      try {
        const parameters = sender.getParameters();
        const encoding = parameters.encodings[0];
        if (encoding !== undefined && keepTo(encoding, medium, this.#limits[medium])) await sender.setParameters(parameters);
      } catch {
        // The call is worth more than its limit: whoever sends too much is held to it on the way.
      }
    }
  }

  /**
   * As if an offer that waits for its answer had never been made: the section it added may be the other side's to add.
   * @param {RTCPeerConnection} connection
   */
  async #takeBackOffer(connection) {
    if (connection.signalingState !== "have-local-offer" || connection.currentRemoteDescription === null) return;
    await connection.setLocalDescription({ type: "rollback" });
    for (const transceiver of this.#sections()) if (transceiver.mid === null) transceiver.stop();
  }

  /** @param {RTCPeerConnection} connection */
  async #offerIfDue(connection) {
    if (!this.#offerDue || this.#screen === null || connection.signalingState !== "stable") return;
    this.#offerDue = false;
    const section = this.#screenSection();
    if (section === undefined) {
      connection.addTransceiver(this.#screen, { direction: "sendonly", streams: [new MediaStream([this.#screen])] });
    } else {
      await section.sender.replaceTrack(this.#screen);
      section.direction = "sendonly";
    }
    await connection.setLocalDescription();
    this.#handOut("offer");
  }

  /** @param {RTCPeerConnection} connection */
  async #answer(connection) {
    const screen = this.#screenSection();
    if (screen !== undefined) screen.direction = this.#screen === null ? "recvonly" : "sendonly";
    for (const transceiver of this.#sections().filter((one) => one !== screen)) {
      const track = this.#localTrack(/** @type {MediaKind} */ (transceiver.receiver.track.kind));
      if (track) await transceiver.sender.replaceTrack(track);
      transceiver.direction = track ? "sendrecv" : "recvonly";
    }
    await connection.setLocalDescription();
    this.#handOut("answer");
  }

  /** @param {"offer" | "answer"} kind */
  #handOut(kind) {
    const description = this.#connection.localDescription;
    if (this.#closed || description === null) return;
    this.#listener.described(kind, description.sdp);
    const held = this.#held ?? [];
    this.#held = null;
    for (const [candidate, mid] of held) this.#listener.gathered(candidate, mid);
  }

  /** @param {RTCIceCandidateInit} candidate */
  async #addCandidate(candidate) {
    try {
      await this.#connection.addIceCandidate(candidate.candidate === "" ? undefined : candidate);
    } catch {
      // A candidate this browser cannot use is no loss as long as another works; if none does, `failed` says so.
    }
  }

  /**
   * What is done may make a sender, or wake one: the limits are kept after each.
   * @param {(connection: RTCPeerConnection) => Promise<void>} action
   */
  #step(action) {
    this.#steps = this.#steps.then(async () => {
      if (this.#closed) return;
      try {
        await action(this.#connection);
      } catch {
        if (!this.#closed) this.#listener.failed(DESCRIPTION_REFUSED);
      }
      if (!this.#closed) await this.#keepLimits();
    });
  }

  /** @param {RTCPeerConnection} connection */
  #listen(connection) {
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.type === "relay") this.#relayCandidates += 1;
      this.#gathered(candidate?.candidate ?? "", candidate?.sdpMid ?? "");
    });
    connection.addEventListener("icecandidateerror", (error) => this.#gatheringErrors.push(error));
    connection.addEventListener("icegatheringstatechange", () => {
      clearTimeout(this.#patience);
      if (connection.iceGatheringState === "complete") this.#tellOfMissingRelay();
      else this.#patience = window.setTimeout(() => this.#tellOfMissingRelay(), RELAY_PATIENCE_MS);
    });
    connection.addEventListener("track", ({ track, transceiver }) => {
      (transceiver === this.#screenSection() ? this.remoteScreen : this.remoteStream).addTrack(track);
    });
    connection.addEventListener("connectionstatechange", () => this.#stateChanged(connection.connectionState));
  }

  #tellOfMissingRelay() {
    if (!this.#closed && this.#relayCandidates === 0) this.#listener.failed(relayTrouble(this.#gatheringErrors));
  }

  /**
   * @param {string} candidate
   * @param {string} mid
   */
  #gathered(candidate, mid) {
    if (this.#closed) return;
    if (this.#held !== null) this.#held.push([candidate, mid]);
    else this.#listener.gathered(candidate, mid);
  }

  /** @param {RTCPeerConnectionState} state */
  #stateChanged(state) {
    if (this.#closed) return;
    if (state === "connected") this.#listener.connected();
    else if (state === "disconnected") this.#listener.interrupted();
    // Without any relayed address the reason has been given already.
    else if (state === "failed" && this.#relayCandidates > 0) this.#listener.failed(MEDIA_LOST);
  }
}
