/**
 * The WebSocket to the edge: text in, frames out, and nothing of what they mean.
 *
 * @import {ClientFrame, EdgeFrame} from "./frames.js"
 */

export const SUBPROTOCOL = "turngate.v1";

/** Abnormal closure (RFC 6455 section 7.4.1): also what a connection that never opened is reported as. */
const ABNORMAL_CLOSURE = 1006;
const OPENING_TIMEOUT_MS = 15_000;

/**
 * What the socket reports; `lost` comes exactly once per connection and last.
 * @typedef {object} Listener
 * @property {() => void} opened
 * @property {(frame: EdgeFrame) => void} frame
 * @property {(code: number, everOpened: boolean) => void} lost
 */

export class EdgeSocket {
  /** @type {WebSocket | null} */
  #socket = null;
  #url;
  #listener;
  #WebSocket;

  /**
   * @param {string} url
   * @param {Listener} listener
   * @param {typeof WebSocket} [webSocket]
   */
  constructor(url, listener, webSocket = globalThis.WebSocket) {
    this.#url = url;
    this.#listener = listener;
    this.#WebSocket = webSocket;
  }

  /** Opens a connection; does nothing while there is one. */
  open() {
    if (this.#socket !== null) return;
    const socket = new this.#WebSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    let everOpened = false;
    const impatience = setTimeout(() => lost(ABNORMAL_CLOSURE), OPENING_TIMEOUT_MS);
    const lost = (/** @type {number} */ code) => {
      clearTimeout(impatience);
      if (this.#socket !== socket) return;
      this.#socket = null;
      socket.close();
      this.#listener.lost(code, everOpened);
    };
    socket.addEventListener("open", () => {
      clearTimeout(impatience);
      everOpened = true;
      if (this.#socket === socket) this.#listener.opened();
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.#socket !== socket) return;
      const frame = parseFrame(data);
      if (frame !== null) this.#listener.frame(frame);
    });
    socket.addEventListener("close", ({ code }) => lost(code));
  }

  /**
   * Sends one frame; false when there is no open connection, and the frame is then gone.
   * @param {ClientFrame} frame
   */
  send(frame) {
    if (this.#socket === null || this.#socket.readyState !== this.#WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Closes without a report: whoever closes knows. */
  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }
}

/**
 * A frame, or null for what is none: anything but a JSON object with a `type`.
 * @param {unknown} data
 * @returns {EdgeFrame | null}
 */
export function parseFrame(data) {
  if (typeof data !== "string") return null;
  try {
    const value = JSON.parse(data);
    return typeof value === "object" && value !== null && typeof value.type === "string" ? value : null;
  } catch {
    return null;
  }
}
