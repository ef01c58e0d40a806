// An emergency stop as the client's session meets it: told why, and away until the edge wants to be asked again.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { secondsAway } from "../../broker/web/protocol/stopping.js";
import { ALICE, BOB, GRACE, ICE, Play, error, insider, sent, spoken } from "./session-play.js";

const SENTENCE = "This has been stopped for now by the organisation.";
const LAST_WORD = { type: "error", code: "EMERGENCY_STOP", message: SENTENCE, retryable: true, return_after_seconds: 90 };
const CLOSED = { event: "link.lost", code: 4503, now_ms: 1_000_000 };
const LOST = { event: "link.lost", code: 1006, now_ms: 2_000_000 };
const BY_STOP = "The call was ended by an emergency stop of the organisation.";

function away(play = insider()) {
  play.tell(LAST_WORD);
  play.want(CLOSED);
  return play;
}

/** Alice and Bob talk. */
function talking() {
  const play = insider();
  play.want({ event: "call.start", ref: "r1", party: "p-bob", video: false });
  play.want({ event: "devices.ready", attempt: 1, remarks: [] });
  play.tell({ type: "call.created", ref: "r1", call_id: "c-1", to: BOB, media: ["audio"], ice_server: ICE });
  play.tell({ type: "call.accepted", call_id: "c-1", role: "caller", ice_server: ICE });
  play.want({ event: "media.connected", attempt: 1, now_ms: 5 });
  return play;
}

describe("a stopped link", () => {
  test("says why and until when, and is not tried before, whoever asks", () => {
    const play = insider();
    play.tell(LAST_WORD);
    assert.deepEqual(play.want(CLOSED), [
      { command: "return", after_seconds: 90 },
      { command: "announce", text: SENTENCE, urgent: true },
    ]);
    assert.equal(play.state.link, "stopped");
    assert.deepEqual(play.state.stop, { sentence: SENTENCE, return_after_seconds: 90, until_ms: 1_090_000 });
    for (let n = 0; n < 3; n += 1) assert.deepEqual(play.want({ event: "link.retry" }), []);
    assert.equal(play.state.link, "stopped");
  });

  test("is told in one place only", () => {
    const play = insider();
    play.tell(error("RATE_LIMITED"));
    play.tell(LAST_WORD);
    play.want(CLOSED);
    assert.deepEqual(play.state.problems.map(({ code }) => code), ["RATE_LIMITED"]);
  });

  test("is tried once when the time has come, and is as before where that works", () => {
    const play = away();
    assert.deepEqual(play.want({ event: "link.return" }), [{ command: "connect", lost_links: 0 }]);
    assert.deepEqual(play.want({ event: "link.return" }), []);
    play.tell({ type: "welcome", you: ALICE, contacts: [], invitations: [], lobby: [] });
    assert.deepEqual([play.state.link, play.state.stop], ["online", null]);
  });

  test("stays away again when it is told so again", () => {
    const play = away();
    play.want({ event: "link.return" });
    play.want({ event: "link.opened" });
    play.tell({ ...LAST_WORD, return_after_seconds: 120 });
    assert.deepEqual(play.want({ ...CLOSED, now_ms: 2_000_000 })[0], { command: "return", after_seconds: 120 });
    assert.equal(play.state.stop.until_ms, 2_120_000);
  });

  test("backs off as ever when the way there is lost afterwards", () => {
    const play = away();
    play.want({ event: "link.return" });
    assert.deepEqual(play.want(LOST), [{ command: "connect", lost_links: 1 }]);
    assert.equal(play.state.link, "waiting");
  });

  test("leads an insider to the sign-in, and a guest to their invitation, with what was behind it", () => {
    const play = away();
    play.want({ event: "link.return" });
    play.want(LOST);
    play.want({ event: "link.signed_out" });
    assert.equal(play.state.signed_out, true);
    assert.ok(play.state.farewell.startsWith(SENTENCE));
    assert.match(play.state.farewell, /Sign in again/);

    const guest = new Play();
    guest.tell({ type: "guest.welcome", you: GRACE, notice: "Recorded." });
    away(guest).want({ event: "link.return" });
    guest.want({ event: "link.signed_out" });
    assert.ok(guest.state.farewell.startsWith(SENTENCE));
    assert.match(guest.state.farewell, /link of your invitation/);
  });
});

describe("the time to stay away", () => {
  test("is the edge's, where it is one", () => {
    assert.deepEqual([1, 90, 1e12].map(secondsAway), [1, 90, 86_400]);
    assert.deepEqual([0, -1, Number.NaN, "90", null, undefined].map(secondsAway), Array(6).fill(null));
  });

  test("is that of the last word, and where there is none the link backs off", () => {
    const play = insider();
    play.tell(LAST_WORD);
    play.tell(error("EDGE_STOPPING"));
    assert.deepEqual(play.want(CLOSED), [{ command: "connect", lost_links: 1 }]);
    const untold = insider();
    untold.tell({ ...LAST_WORD, return_after_seconds: null });
    assert.deepEqual(untold.want(CLOSED), [{ command: "connect", lost_links: 1 }]);
  });

  test("is nothing to a link that is lost for another reason", () => {
    const play = insider();
    play.tell(LAST_WORD);
    assert.deepEqual(play.want(LOST), [{ command: "connect", lost_links: 1 }]);
    play.want({ event: "link.signed_out" });
    assert.equal(play.state.farewell, "You are no longer signed in.");
  });

  test("of one thing that was asked is not that of the link", () => {
    const play = insider();
    play.want({ event: "chat.write", ref: "r1", to: "p-bob", text: "hi", now_ms: 1 });
    play.tell({ ...LAST_WORD, ref: "r1", decision_id: "d-1" });
    assert.equal(play.conversation("p-bob").messages[0].problem.sentence, SENTENCE);
    assert.deepEqual([play.state.stop, play.state.link], [null, "online"]);
  });
});

describe("a stopped call", () => {
  test("says why to whoever is in it, before the link goes and after", () => {
    const play = talking();
    const told = play.tell({ type: "call.ended", call_id: "c-1", reason: "emergency_stop", code: "EMERGENCY_STOP", message: SENTENCE });
    assert.deepEqual(told[0], { command: "media.close" });
    assert.deepEqual(spoken(told), [`Call with Bob: ${BY_STOP}`]);
    away(play);
    assert.deepEqual([play.call.phase, play.call.ending], ["ended", BY_STOP]);
  });

  test("says so too where the link is closed before the call is", () => {
    assert.equal(away(talking()).call.ending, BY_STOP);
  });

  test("is none that was missed", () => {
    const play = insider();
    play.tell({ type: "call.ring", call_id: "c-2", caller: GRACE, media: ["audio"] });
    play.tell({ type: "call.ended", call_id: "c-2", reason: "emergency_stop", code: "EMERGENCY_STOP", message: SENTENCE });
    assert.equal(play.call.ending, BY_STOP);
  });

  test("names the decision where there is one", () => {
    const play = talking();
    play.tell({ type: "call.ended", call_id: "c-1", reason: "emergency_stop", code: "EMERGENCY_STOP", message: SENTENCE, decision_id: "d-1" });
    assert.equal(play.call.ending, `${BY_STOP} ${SENTENCE} Decision d-1.`);
  });

  test("is not wished for while the link is stopped", () => {
    assert.deepEqual(away().want({ event: "call.start", ref: "r9", party: "p-bob", video: false }), []);
  });
});

describe("a stopped screen", () => {
  test("is said to be, and the call goes on", () => {
    const play = talking();
    play.want({ event: "screen.start" });
    play.want({ event: "screen.ready", attempt: 1 });
    play.tell({ type: "call.sharing", call_id: "c-1", party: "p-alice" });
    const told = play.tell({ type: "call.share_ended", call_id: "c-1", party: "p-alice", reason: "emergency_stop" });
    assert.deepEqual(told[0], { command: "screen.release" });
    assert.match(play.call.share_trouble.sentence, /emergency stop/);
    assert.equal(play.call.phase, "active");
  });

  test("that is refused is not waited for", () => {
    const play = talking();
    play.want({ event: "screen.start" });
    assert.equal(sent(play.want({ event: "screen.ready", attempt: 1 })).length, 1);
    assert.deepEqual(play.tell({ ...LAST_WORD, call_id: "c-1", decision_id: "d-1" })[0], { command: "screen.release" });
    assert.deepEqual([play.call.screen, play.call.share_trouble.sentence], ["none", SENTENCE]);
    assert.equal(play.call.phase, "active");
  });
});
