/**
 * What all elements of the client share: built once, shown again after every change of the session.
 *
 * @import {Client} from "../client.js"
 * @import {Session} from "../protocol/state.js"
 */

export class ClientElement extends HTMLElement {
  /** @type {Client | null} */
  #client = null;

  /** The client this element shows and speaks to; set once. */
  get client() {
    if (this.#client === null) throw new Error(`${this.localName} has no client yet`);
    return this.#client;
  }

  set client(client) {
    this.#client = client;
    this.build();
    client.addEventListener("change", () => this.show(client.state));
    this.show(client.state);
  }

  /** Makes the parts that never change. */
  build() {}

  /**
   * Shows the session as it is now.
   * @param {Session} _state
   */
  show(_state) {}
}
