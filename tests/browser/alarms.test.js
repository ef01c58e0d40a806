// The console's words for alarms, whatever the edge says.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { alarmFacts, headline, isToldElsewhere, newsWords, silenceWords } from "../../broker/web/protocol/alarms.js";

const REFUSED = { alarm: "policy_refused", since_ms: 1000, sentence: "The policy file cannot be used.", what_to_do: "Mend it.", detail: "" };
const FLOOD = { alarm: "flood", since_ms: 2000, sentence: "Strangers are turned away.", what_to_do: "Block them.", detail: "sign-in" };
const STOP = { alarm: "emergency_stop", since_ms: 3000, sentence: "Communication is stopped.", what_to_do: "Lift it.", detail: "1 latched" };

describe("an alarm", () => {
  test("says since when, what it is about and what to do, and nothing where there is no detail", () => {
    assert.deepEqual(alarmFacts(FLOOD),
      [["Since", "1970-01-01 00:00:02 UTC"], ["Detail", "sign-in"], ["What to do", "Block them."]]);
    assert.deepEqual(alarmFacts(REFUSED).map(([name]) => name), ["Since", "What to do"]);
  });

  test("shows nothing that could mislead or goes on for ever", () => {
    const hostile = { ...FLOOD, sentence: "a\u202eb", detail: "x".repeat(10_000), what_to_do: "c\u200bd" };
    assert.equal(headline(hostile), "a\u{fffd}b");
    const facts = Object.fromEntries(alarmFacts(hostile));
    assert.equal(facts["Detail"].length, 601);
    assert.equal(facts["What to do"], "c\u{fffd}d");
    assert.equal(newsWords([], [hostile]), "a\u{fffd}b");
  });
});

describe("an edge that does not tell", () => {
  test("is not one where nothing needs anybody", () => {
    assert.match(silenceWords([]), /is not known\.$/);
    assert.match(silenceWords([FLOOD]), /now is not known\. Last it was this:$/);
  });
});

describe("what is read out", () => {
  test("is each alarm once, all of them to somebody who comes", () => {
    assert.equal(newsWords([], []), "");
    assert.equal(newsWords([], [FLOOD, REFUSED]), "Strangers are turned away. The policy file cannot be used.");
    assert.equal(newsWords([REFUSED], [FLOOD, REFUSED]), "Strangers are turned away.");
    assert.equal(newsWords([FLOOD, REFUSED], [REFUSED]), "");
  });

  test("is not an alarm again whose detail has changed, and is one that was over in between", () => {
    assert.equal(newsWords([FLOOD], [{ ...FLOOD, detail: "sign-in, redeem" }]), "");
    assert.equal(newsWords([FLOOD], [{ ...FLOOD, since_ms: 9000 }]), "Strangers are turned away.");
  });

  test("is no emergency stop: the banner says that", () => {
    assert.ok(isToldElsewhere(STOP));
    assert.ok(!isToldElsewhere({ ...STOP, alarm: "latch_missing" }));
    assert.equal(newsWords([], [STOP]), "");
  });
});
