// Sharing a screen in a call: chosen by the person, allowed by the edge, ended by anybody.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { canShowScreen, openScreen } from "../../broker/web/rtc/screen.js";
import { ALICE, BOB, ICE, error, insider, sent, spoken } from "./session-play.js";

const SHARE = { type: "call.share", call_id: "c-1" };
const UNSHARE = { type: "call.unshare", call_id: "c-1" };

/** Alice talks to Bob. */
function talking(media = ["audio"]) {
  const play = insider();
  play.want({ event: "call.start", ref: "r1", party: "p-bob", video: media.includes("video") });
  play.want({ event: "devices.ready", attempt: 1, remarks: [] });
  play.tell({ type: "call.created", ref: "r1", call_id: "c-1", to: BOB, media, ice_server: ICE });
  play.tell({ type: "call.accepted", call_id: "c-1", role: "caller", ice_server: ICE });
  play.want({ event: "media.connected", attempt: 1, now_ms: 1 });
  return play;
}

/** Alice has chosen a screen, and the edge is asked. */
function asking() {
  const play = talking();
  play.want({ event: "screen.start" });
  play.want({ event: "screen.ready", attempt: 1 });
  return play;
}

function sharing(party) {
  return { type: "call.sharing", call_id: "c-1", party };
}

function over(party, reason = "stopped") {
  return { type: "call.share_ended", call_id: "c-1", party, reason };
}

describe("who shares", () => {
  test("chooses, asks the edge, and shows once it is allowed", () => {
    const play = talking();
    assert.deepEqual(play.want({ event: "screen.start" }), [{ command: "screen.acquire", attempt: 1 }]);
    assert.deepEqual(sent(play.want({ event: "screen.ready", attempt: 1 })), [SHARE]);
    assert.deepEqual(play.tell(sharing("p-alice"))[0], { command: "screen.show" });
    assert.deepEqual([play.call.screen, play.call.sharing], ["shown", ALICE.party]);
  });

  test("stops with one word, whoever says it: the person or their browser", () => {
    const play = asking();
    play.tell(sharing("p-alice"));
    const stopped = play.want({ event: "screen.stop" });
    assert.deepEqual(stopped[0], { command: "screen.release" });
    assert.deepEqual(sent(stopped), [UNSHARE]);
    assert.deepEqual(play.want({ event: "screen.stop" }), []);
    play.tell(over("p-alice"));
    assert.deepEqual([play.call.screen, play.call.sharing, play.call.share_trouble], ["none", null, null]);
    assert.equal(play.call.phase, "active");
  });

  test("asks for nothing who chooses nothing", () => {
    const play = talking();
    play.want({ event: "screen.start" });
    assert.deepEqual(sent(play.want({ event: "screen.failed", attempt: 1, sentence: null })), []);
    assert.deepEqual([play.call.screen, play.call.share_trouble], ["none", null]);
    play.want({ event: "screen.start" });
    play.want({ event: "screen.failed", attempt: 1, sentence: "It could not be opened." });
    assert.equal(play.call.share_trouble.sentence, "It could not be opened.");
  });

  test("reads why it is not allowed, and the call goes on", () => {
    for (const code of ["POLICY_DENIED", "SHARE_BUSY", "BANDWIDTH_EXCEEDED", "AUDIT_UNAVAILABLE"]) {
      const play = asking();
      const denied = play.tell(error(code, { call_id: "c-1" }));
      assert.deepEqual(denied[0], { command: "screen.release" });
      assert.deepEqual(spoken(denied), ["It cannot be done."]);
      assert.deepEqual([play.call.phase, play.call.screen, play.call.share_trouble.decision_id], ["active", "none", "d-1"]);
      assert.deepEqual(play.state.problems, []);
    }
  });

  test("who gives up before the edge has answered is shown nowhere", () => {
    const play = asking();
    assert.deepEqual(sent(play.want({ event: "screen.stop" })), [UNSHARE]);
    const late = play.tell(sharing("p-alice"));
    assert.deepEqual(sent(late), [UNSHARE]);
    assert.deepEqual(play.tell(error("NOT_SHARING", { call_id: "c-1" })), []);
    play.tell(over("p-alice"));
    assert.deepEqual([play.call.screen, play.call.sharing], ["none", null]);
  });

  test("offers again when the offer crossed another, and stops when that does not help", () => {
    const play = asking();
    play.tell(sharing("p-alice"));
    assert.deepEqual(play.tell(error("NEGOTIATION_BUSY", { call_id: "c-1" })), [{ command: "screen.offer_again" }]);
    assert.equal(play.call.screen, "shown");
    const failed = play.want({ event: "screen.failed", attempt: 1, sentence: "Try again." });
    assert.deepEqual(sent(failed), [UNSHARE]);
    assert.equal(play.call.share_trouble.sentence, "Try again.");
  });

  test("is told what ended it when it was not themselves", () => {
    const play = asking();
    play.tell(sharing("p-alice"));
    const ended = play.tell(over("p-alice", "policy"));
    assert.deepEqual(ended[0], { command: "screen.release" });
    assert.match(play.call.share_trouble.sentence, /organisation/);
    assert.deepEqual([play.call.phase, play.call.screen], ["active", "none"]);
  });

  test("cannot begin outside a running call, twice, or while the other does", () => {
    const idle = insider();
    assert.deepEqual(idle.want({ event: "screen.start" }), []);
    assert.deepEqual(asking().want({ event: "screen.start" }), []);
    const play = talking();
    play.tell(sharing("p-bob"));
    assert.deepEqual(play.want({ event: "screen.start" }), []);
  });

  test("has nothing to show any more when the call is over", () => {
    const play = asking();
    play.tell(sharing("p-alice"));
    play.tell({ type: "call.ended", call_id: "c-1", reason: "hung_up" });
    assert.deepEqual([play.call.phase, play.call.screen, play.call.sharing], ["ended", "none", null]);
    const left = asking();
    left.want({ event: "call.leave" });
    assert.deepEqual([left.call.phase, left.call.screen], ["ended", "none"]);
  });

  test("devices and media that answer late change nothing", () => {
    const play = talking();
    assert.deepEqual(play.want({ event: "screen.ready", attempt: 1 }), []);
    assert.deepEqual(play.want({ event: "screen.failed", attempt: 1, sentence: "x" }), []);
    assert.equal(play.call.share_trouble, null);
  });
});

describe("who sees it", () => {
  test("is told who shows, also before the own media are there, and when it ends", () => {
    const play = talking();
    assert.deepEqual(spoken(play.tell(sharing("p-bob"))), ["Bob shows you their screen."]);
    assert.equal(play.call.sharing, "p-bob");
    assert.deepEqual(spoken(play.tell(over("p-bob"))), ["The screen is not shown any more."]);
    assert.deepEqual([play.call.sharing, play.call.screen], [null, "none"]);
  });

  test("hears nothing of a share that never began", () => {
    const play = talking();
    assert.deepEqual(play.tell(over("p-bob", "record_unavailable")), []);
    assert.equal(play.call.share_trouble, null);
  });

  test("hears nothing of other calls", () => {
    const play = talking();
    assert.deepEqual(play.tell({ ...sharing("p-bob"), call_id: "c-9" }), []);
    assert.deepEqual(play.tell({ ...over("p-bob"), call_id: "c-9" }), []);
    assert.deepEqual(insider().tell(sharing("p-bob")), []);
  });
});

describe("the screen", () => {
  const browser = (getDisplayMedia) => ({ getDisplayMedia });
  const failing = (name) => browser(() => Promise.reject(Object.assign(new Error("no"), { name })));

  test("is one track, for which legible text goes before smooth movement", async () => {
    const track = { contentHint: "" };
    const opened = await openScreen(browser(() => Promise.resolve({ getVideoTracks: () => [track] })));
    assert.deepEqual(opened, { track, sentence: null });
    assert.equal(track.contentHint, "detail");
  });

  test("is nothing to speak of for who has changed their mind, and a sentence for who could not", async () => {
    assert.deepEqual(await openScreen(failing("NotAllowedError")), { track: null, sentence: null });
    assert.match((await openScreen(failing("NotReadableError"))).sentence, /could not be opened/);
    assert.match((await openScreen(undefined)).sentence, /cannot show/);
  });

  test("is offered only where the browser has one to give", () => {
    assert.deepEqual([browser(() => null), {}, undefined].map(canShowScreen), [true, false, false]);
  });
});
