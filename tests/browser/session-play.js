// What session tests share: people, and a session that is played event by event.

import { reduce } from "../../broker/web/protocol/session.js";
import { newSession } from "../../broker/web/protocol/state.js";

export const ALICE = { party: "p-alice", name: "Alice", kind: "insider", status: "available" };
export const BOB = { party: "p-bob", name: "Bob", kind: "insider", status: "available" };
export const GRACE = { party: "g-grace", name: "Grace", kind: "guest", status: "available" };
export const ICE = { urls: ["turn:192.0.2.1:3478?transport=udp"], username: "u", credential: "c" };

/** A session under test: `tell` and `want` return the commands, `sent` only the frames among them. */
export class Play {
  state = newSession();

  want(event) {
    const [state, commands] = reduce(this.state, event);
    this.state = state;
    return commands;
  }

  tell(frame) {
    return this.want({ event: "frame", frame });
  }

  get call() {
    return this.state.call;
  }

  conversation(party) {
    return this.state.conversations[party];
  }
}

export function sent(commands) {
  return commands.filter(({ command }) => command === "send").map(({ frame }) => frame);
}

export function spoken(commands) {
  return commands.filter(({ command }) => command === "announce").map(({ text }) => text);
}

export function insider(contacts = [BOB, GRACE]) {
  const play = new Play();
  play.want({ event: "link.opened" });
  play.tell({ type: "welcome", you: ALICE, contacts, invitations: [], lobby: [] });
  return play;
}

export function error(code, about = {}) {
  return { type: "error", code, message: "It cannot be done.", retryable: false, decision_id: "d-1", ...about };
}
