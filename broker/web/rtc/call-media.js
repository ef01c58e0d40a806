/**
 * The media of one call: one RTCPeerConnection that only ever uses the relay. It knows no socket: descriptions and
 * candidates go out through its listener and come in through its methods.
 *
 * @import {MediaKind} from "./devices.js"
 * @import {Figures} from "./figures.js"
 * @import {GatheringError} from "./relay-trouble.js"
 */

import { figures } from "./figures.js";
import { reachableUrls } from "./relay-path.js";
import { relayTrouble } from "./relay-trouble.js";

/** A relay that answers does so in a moment; browsers themselves wait some 40 seconds before they say it did not. */
const RELAY_PATIENCE_MS = 8000;
const MEDIA_LOST = "The media connection was lost. Hang up and call again.";
const DESCRIPTION_REFUSED = "This browser could not use the other side's media description.";

/**
 * @typedef {object} MediaListener
 * @property {(kind: "offer" | "answer", sdp: string) => void} described
 * @property {(candidate: string, mid: string) => void} gathered "" marks the end of candidates
 * @property {() => void} connected
 * @property {() => void} interrupted
 * @property {(sentence: string) => void} failed
 */

export class CallMedia {
  /** What the other side sends; tracks come and go in it. */
  remoteStream = new MediaStream();
  /** @type {RTCPeerConnection} */
  #connection;
  #localStream;
  #listener;
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

  /**
   * @param {{urls: string[], username: string, credential: string}} iceServer
   * @param {MediaStream} localStream whose tracks are sent; the caller of this keeps and closes it
   * @param {MediaListener} listener
   */
  constructor(iceServer, localStream, listener) {
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

  /**
   * Makes the first offer, for each agreed kind: sends what there is a device for, receives in any case.
   * @param {MediaKind[]} media
   */
  offer(media) {
    this.#step(async (connection) => {
      for (const kind of media) {
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
      await connection.setRemoteDescription({ type, sdp });
      if (type === "offer") await this.#answer(connection);
      for (const candidate of this.#early.splice(0)) await this.#addCandidate(candidate);
    });
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

  /** @param {RTCPeerConnection} connection */
  async #answer(connection) {
    for (const transceiver of connection.getTransceivers()) {
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

  /** @param {(connection: RTCPeerConnection) => Promise<void>} action */
  #step(action) {
    this.#steps = this.#steps.then(async () => {
      if (this.#closed) return;
      try {
        await action(this.#connection);
      } catch {
        if (!this.#closed) this.#listener.failed(DESCRIPTION_REFUSED);
      }
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
    connection.addEventListener("track", ({ track }) => this.remoteStream.addTrack(track));
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
