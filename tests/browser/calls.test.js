// Calls as a playbook, from both sides, with every way they end.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { BOB, GRACE, ICE, error, insider, sent, spoken } from "./session-play.js";

const BOTH = ["audio", "video"];

function types(commands) {
  return commands.map((command) => (command.command === "send" ? command.frame.type : command.command));
}

/** Alice calls Bob; it rings. */
function ringing() {
  const play = insider();
  play.want({ event: "call.start", ref: "r1", party: "p-bob", video: true });
  play.want({ event: "devices.ready", attempt: 1, remarks: [] });
  play.tell({ type: "call.created", ref: "r1", call_id: "c-1", to: BOB, media: BOTH, ice_server: ICE });
  return play;
}

/** Alice called Bob and he has answered. */
function accepted() {
  const play = ringing();
  play.tell({ type: "call.accepted", call_id: "c-1", role: "caller", ice_server: ICE });
  return play;
}

/** Grace calls Alice. */
function incoming(media = BOTH) {
  const play = insider();
  play.tell({ type: "call.ring", call_id: "c-2", caller: GRACE, media });
  return play;
}

describe("the caller", () => {
  test("opens devices, invites, rings, and opens media when the other answers", () => {
    const play = insider();
    const start = play.want({ event: "call.start", ref: "r1", party: "p-bob", video: true });
    assert.deepEqual(start, [{ command: "devices.acquire", attempt: 1, video: true }]);
    const invite = play.want({ event: "devices.ready", attempt: 1, remarks: ["No camera was found."] });
    assert.deepEqual(sent(invite), [{ type: "call.invite", ref: "r1", to: "p-bob", media: BOTH }]);
    play.tell({ type: "call.created", ref: "r1", call_id: "c-1", to: BOB, media: BOTH, ice_server: ICE });
    assert.equal(play.call.phase, "ringing");
    const open = play.tell({ type: "call.accepted", call_id: "c-1", role: "caller", ice_server: ICE });
    assert.deepEqual(open, [{ command: "media.open", attempt: 1, role: "caller", media: BOTH, ice_server: ICE }]);
    assert.deepEqual(play.call.remarks, ["No camera was found."]);
  });

  test("who gives up while it rings cancels, and afterwards hangs up", () => {
    assert.deepEqual(types(ringing().want({ event: "call.leave" })), ["media.close", "call.cancel"]);
    assert.deepEqual(types(accepted().want({ event: "call.leave" })), ["media.close", "call.hang_up"]);
  });

  test("who gives up before the edge has named the call cancels it as soon as it is named", () => {
    const play = insider();
    play.want({ event: "call.start", ref: "r1", party: "p-bob", video: false });
    play.want({ event: "devices.ready", attempt: 1, remarks: [] });
    assert.deepEqual(types(play.want({ event: "call.leave" })), ["media.close"]);
    const late = play.tell({ type: "call.created", ref: "r1", call_id: "c-1", to: BOB, media: ["audio"], ice_server: ICE });
    assert.deepEqual(sent(late), [{ type: "call.cancel", call_id: "c-1" }]);
    assert.equal(play.call.phase, "ended");
  });

  test("learns of a refusal in the call itself, with the decision", () => {
    const play = insider();
    play.want({ event: "call.start", ref: "r1", party: "p-bob", video: true });
    play.want({ event: "devices.ready", attempt: 1, remarks: [] });
    assert.ok(types(play.tell(error("POLICY_DEFAULT_DENY", { ref: "r1" }))).includes("media.close"));
    assert.deepEqual([play.call.phase, play.call.problem.decision_id], ["ended", "d-1"]);
    assert.deepEqual(play.state.problems, []);
  });

  test("and the callee learn that there is no room for the call", () => {
    const caller = insider();
    caller.want({ event: "call.start", ref: "r1", party: "p-bob", video: true });
    caller.want({ event: "devices.ready", attempt: 1, remarks: [] });
    caller.tell(error("BANDWIDTH_EXCEEDED", { ref: "r1", decision_id: null }));
    const callee = incoming();
    callee.want({ event: "call.answer", video: false });
    callee.want({ event: "devices.ready", attempt: 1, remarks: [] });
    callee.tell(error("BANDWIDTH_EXCEEDED", { call_id: "c-2", decision_id: null }));
    for (const { call, state } of [caller, callee]) {
      assert.deepEqual([call.phase, call.ending, call.problem.code], ["ended", "It cannot be done.", "BANDWIDTH_EXCEEDED"]);
      assert.deepEqual(state.problems, []);
    }
  });

  test("is not started twice, nor without a link", () => {
    const play = ringing();
    assert.deepEqual(play.want({ event: "call.start", ref: "r9", party: "g-grace", video: false }), []);
    const offline = insider();
    offline.want({ event: "link.lost", code: 1006 });
    assert.deepEqual(offline.want({ event: "call.start", ref: "r9", party: "p-bob", video: false }), []);
  });

  test("devices that answer after the call was given up start nothing", () => {
    const play = insider();
    play.want({ event: "call.start", ref: "r1", party: "p-bob", video: true });
    play.want({ event: "call.leave" });
    assert.deepEqual(play.want({ event: "devices.ready", attempt: 1, remarks: [] }), []);
  });

  test("a call that ended before it was named is known by its ref", () => {
    const play = insider();
    play.want({ event: "call.start", ref: "r1", party: "p-bob", video: true });
    play.want({ event: "devices.ready", attempt: 1, remarks: [] });
    play.tell({ type: "call.ended", call_id: "c-1", reason: "record_unavailable", ref: "r1" });
    assert.match(play.call.ending, /put on record/);
  });
});

describe("the callee", () => {
  test("is told who calls, from which side, and answers with or without camera", () => {
    const play = insider();
    const ring = play.tell({ type: "call.ring", call_id: "c-2", caller: GRACE, media: BOTH });
    assert.deepEqual(spoken(ring), ["Incoming video call from Grace (outside)."]);
    const answer = play.want({ event: "call.answer", video: false });
    assert.deepEqual(answer, [{ command: "devices.acquire", attempt: 1, video: false }]);
    assert.equal(play.state.selected, "g-grace");
    const accept = play.want({ event: "devices.ready", attempt: 1, remarks: [] });
    assert.deepEqual(sent(accept), [{ type: "call.accept", call_id: "c-2" }]);
    const open = play.tell({ type: "call.accepted", call_id: "c-2", role: "callee", ice_server: ICE });
    assert.deepEqual(types(open), ["media.open"]);
  });

  test("never adds a camera to a call that is for sound only", () => {
    const answer = incoming(["audio"]).want({ event: "call.answer", video: true });
    assert.deepEqual(answer, [{ command: "devices.acquire", attempt: 1, video: false }]);
  });

  test("declines", () => {
    const play = incoming();
    assert.deepEqual(types(play.want({ event: "call.leave" })), ["media.close", "call.decline"]);
    assert.equal(play.call, null);
  });

  test("who answered elsewhere sees the ringing stop, and who missed it is told", () => {
    const elsewhere = incoming();
    elsewhere.tell({ type: "call.ended", call_id: "c-2", reason: "answered_elsewhere" });
    assert.equal(elsewhere.call, null);
    const missed = incoming();
    missed.tell({ type: "call.ended", call_id: "c-2", reason: "cancelled" });
    assert.equal(missed.call.ending, "You missed this call.");
  });

  test("a ring ends a call that was only being prepared, and no second ring disturbs a call", () => {
    const play = insider();
    play.want({ event: "call.start", ref: "r1", party: "p-bob", video: true });
    play.want({ event: "devices.ready", attempt: 1, remarks: [] });
    play.tell({ type: "call.ring", call_id: "c-2", caller: GRACE, media: BOTH });
    assert.equal(play.call.peer.name, "Grace");
    assert.deepEqual(play.tell(error("YOU_ARE_BUSY", { ref: "r1" })), []);
    assert.deepEqual(play.state.problems, []);
    assert.deepEqual(play.tell({ type: "call.ring", call_id: "c-3", caller: BOB, media: BOTH }), []);
    assert.equal(play.call.call_id, "c-2");
  });
});

describe("a running call", () => {
  test("passes descriptions and candidates both ways under its own id", () => {
    const play = accepted();
    const offer = play.want({ event: "media.described", attempt: 1, kind: "offer", sdp: "v=0" });
    assert.deepEqual(sent(offer), [{ type: "call.offer", call_id: "c-1", sdp: "v=0" }]);
    const own = play.want({ event: "media.gathered", attempt: 1, candidate: "candidate:1", mid: "0" });
    assert.deepEqual(sent(own), [{ type: "call.candidate", call_id: "c-1", candidate: "candidate:1", mid: "0" }]);
    assert.deepEqual(play.tell({ type: "call.answer", call_id: "c-1", sdp: "v=0" }), [
      { command: "media.describe", kind: "answer", sdp: "v=0" },
    ]);
    assert.deepEqual(play.tell({ type: "call.candidate", call_id: "c-1", candidate: "", mid: "" }), [
      { command: "media.candidate", candidate: "", mid: "" },
    ]);
  });

  test("takes no signals of another call, nor of media of an earlier one", () => {
    const play = accepted();
    assert.deepEqual(play.tell({ type: "call.offer", call_id: "c-9", sdp: "v=0" }), []);
    assert.deepEqual(play.want({ event: "media.described", attempt: 0, kind: "offer", sdp: "v=0" }), []);
  });

  test("counts its time from the first connection, through interruptions", () => {
    const play = accepted();
    play.want({ event: "media.connected", attempt: 1, now_ms: 1000 });
    play.want({ event: "media.interrupted", attempt: 1 });
    assert.equal(play.call.interrupted, true);
    play.want({ event: "media.connected", attempt: 1, now_ms: 9000 });
    assert.deepEqual([play.call.phase, play.call.interrupted, play.call.connected_at_ms], ["active", false, 1000]);
  });

  test("says why nothing passes, once, and until it does", () => {
    const play = accepted();
    const trouble = { event: "media.failed", attempt: 1, sentence: "UDP is blocked." };
    assert.deepEqual(spoken(play.want(trouble)), ["UDP is blocked."]);
    assert.deepEqual(spoken(play.want(trouble)), []);
    assert.equal(play.call.trouble, "UDP is blocked.");
    play.want({ event: "media.connected", attempt: 1, now_ms: 1000 });
    assert.equal(play.call.trouble, null);
  });

  test("hands on what it may send of each medium, which is no limit where nothing is said", () => {
    const play = accepted();
    const told = { type: "media.limit", call_id: "c-1", audio_bits_per_second: 40_000, video_bits_per_second: null };
    const limits = { audio: 40_000, video: null, screen: null };
    assert.deepEqual(play.tell(told), [{ command: "media.limit", limits }]);
    play.want({ event: "media.connected", attempt: 1, now_ms: 1 });
    assert.deepEqual(play.tell({ ...told, audio_bits_per_second: 0 }), [{ command: "media.limit", limits: { ...limits, audio: 0 } }]);
    assert.deepEqual(play.tell({ ...told, call_id: "c-9" }), []);
    assert.deepEqual(ringing().tell(told), []);
    assert.deepEqual(insider().tell(told), []);
  });

  test("mutes and hides without another negotiation", () => {
    const play = accepted();
    assert.deepEqual(play.want({ event: "call.mute", muted: true }), [
      { command: "media.enable", kind: "audio", enabled: false },
    ]);
    assert.deepEqual(play.want({ event: "call.camera", off: true }), [
      { command: "media.enable", kind: "video", enabled: false },
    ]);
  });

  test("ends with the link that carries it", () => {
    const play = accepted();
    assert.deepEqual(types(play.want({ event: "link.lost", code: 1006 })), ["media.close", "announce", "connect"]);
    assert.equal(play.call.phase, "ended");
  });

  test("ends for both when its media description is refused", () => {
    const play = accepted();
    const commands = play.tell(error("SDP_MEDIA_NOT_ALLOWED", { call_id: "c-1" }));
    assert.deepEqual(types(commands), ["media.close", "announce", "call.hang_up"]);
  });

  test("survives a refused candidate, which is shown", () => {
    const play = accepted();
    play.tell(error("SDP_FOREIGN_CANDIDATE", { call_id: "c-1" }));
    assert.equal(play.call.phase, "connecting");
    assert.equal(play.state.problems.length, 1);
  });

  test("leaves no trace of signals that crossed its end", () => {
    const play = accepted();
    play.tell({ type: "call.ended", call_id: "c-1", reason: "hung_up" });
    assert.deepEqual(play.tell(error("UNKNOWN_CALL", { call_id: "c-1" })), []);
    assert.deepEqual(play.state.problems, []);
    play.want({ event: "call.dismiss" });
    assert.equal(play.call, null);
  });
});
