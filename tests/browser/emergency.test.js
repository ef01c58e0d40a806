// The console's words for emergency stops, whatever the edge says.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { bannerWords, countWords, drillWords, liftWords, MODALITIES, scopeWords, stopFacts, stoppedBy } from "../../broker/web/protocol/emergency.js";

const STOP = { scope: "all", since_ms: 0, how: "console", by: "u-1", login: null, told_by: null, reason: null, known: true, settled: true,
  ended: { calls: 1, shares: 0, connections: 2, visits: 0 }, packets: 7, last_packet_ms: 1000, lift: null };

describe("what is stopped", () => {
  test("is named in words for every kind of scope", () => {
    assert.equal(scopeWords("all"), "everything");
    assert.equal(scopeWords("zone:plant"), "all of the zone plant");
    assert.equal(scopeWords("peer:acme.example"), "all guests of acme.example");
    assert.equal(scopeWords("user:ali:ce"), "all that the person ali:ce takes part in");
    assert.deepEqual(Object.keys(MODALITIES).map((name) => scopeWords(`modality:${name}`)), Object.values(MODALITIES));
  });

  test("is shown as it is where there is no word for it, and without what could mislead", () => {
    assert.equal(scopeWords("modality:smell"), "smell");
    assert.equal(scopeWords("planet:mars"), "planet:mars");
    assert.equal(scopeWords("user:\u202eecila"), "all that the person \u{fffd}ecila takes part in");
    assert.equal(scopeWords("modality:constructor"), "constructor");
  });

  test("stands over the console, as much of it as has room there", () => {
    assert.equal(bannerWords([]), "");
    assert.equal(bannerWords([STOP]), "Stopped: everything.");
    const five = ["all", "zone:a", "peer:b", "user:c", "modality:chat"].map((scope) => ({ ...STOP, scope }));
    assert.match(bannerWords(five), /everything; all of the zone a; all guests of b; and 2 more\.$/);
  });
});

describe("what a stop ended", () => {
  test("is counted, without what there was none of", () => {
    assert.equal(countWords({ calls: 0, shares: 0, connections: 0, visits: 0 }), "nothing that was open");
    assert.equal(countWords({ calls: 2, shares: 0, connections: 0, visits: 0 }), "2 calls");
    assert.equal(countWords({ calls: 1, shares: 1, connections: 4, visits: 2 }),
      "1 call, 1 shown screen, 4 connections and 2 visits of guests");
    assert.equal(countWords({}), "nothing that was open");
  });

  test("and its last packet are not made up for a stop of an earlier run", () => {
    const facts = Object.fromEntries(stopFacts({ ...STOP, ended: null, packets: null, last_packet_ms: null }));
    assert.match(facts["Ended"], /not known/);
    assert.equal(facts["Last packet of it"], "not known");
    assert.equal(Object.fromEntries(stopFacts(STOP))["Last packet of it"], "1970-01-01 00:00:01 UTC");
    assert.equal(Object.fromEntries(stopFacts({ ...STOP, last_packet_ms: null }))["Last packet of it"], "none went out");
  });

  test("is told of a rehearsal as what would have been", () => {
    assert.equal(drillWords({ scope: "modality:chat", at_ms: 0, would_end: {} }),
      "Rehearsed on 1970-01-01 00:00:00 UTC: a stop of chat would have ended nothing that was open.");
  });
});

describe("a lift that waits", () => {
  const lift = { by: "u-1", login: "olga", until_ms: 0 };

  test("asks others to approve, by when", () => {
    assert.equal(liftWords(lift, "bob"),
      "olga has asked for the lift. The stop goes on unless another administrator approves by 1970-01-01 00:00:00 UTC.");
    assert.match(liftWords({ ...lift, login: "\u202eaglo" }, "bob"), /^\u{fffd}aglo has asked/u);
  });

  test("asks nothing of who asked for it", () => {
    assert.equal(liftWords(lift, "olga"), "You have asked for the lift; another administrator has to approve it. "
      + "The stop goes on unless that happens by 1970-01-01 00:00:00 UTC.");
  });
});

describe("who stopped it", () => {
  test("is an administrator, or a file and whom it names", () => {
    assert.equal(stoppedBy(STOP), "u-1, at the console");
    assert.equal(stoppedBy({ ...STOP, login: "olga" }), "olga, at the console");
    assert.equal(stoppedBy({ ...STOP, how: "latch", by: null }), "a file on the edge's machine");
    assert.match(stoppedBy({ ...STOP, how: "latch", by: null, told_by: "olga" }), /, by olga$/);
  });
});
