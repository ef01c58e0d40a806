// The console's words and figures, whatever the edge says.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ACTIONS, age, bytes, eachWay, MAY_END, MAY_SET_POLICY, MAY_STOP, moment, PAGES, plain, ROLES, who } from "../../broker/web/protocol/admin.js";

describe("figures", () => {
  test("ages are in the two largest units that say something", () => {
    assert.deepEqual([0, 59, 60, 3599, 3600, 90_061].map(age), ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "25 h 1 min"]);
    assert.deepEqual([null, Number.NaN, -5].map(age), ["", "", "0 s"]);
  });

  test("bytes are in a unit that keeps them short, each way apart", () => {
    assert.deepEqual([0, 999, 1000, 2_500_000, 3e9].map(bytes), ["0 B", "999 B", "1.0 kB", "2.5 MB", "3.0 GB"]);
    assert.equal(eachWay({ a_to_b: 1000, b_to_a: 20 }), "1.0 kB → 20 B ←");
    assert.equal(eachWay(null), "");
  });

  test("moments are in UTC", () => {
    assert.equal(moment(0), "1970-01-01 00:00:00 UTC");
    assert.equal(moment(null), "");
  });
});

describe("hostile names", () => {
  test("nothing is left that turns the direction of writing, cannot be seen or goes on for ever", () => {
    for (const hostile of ["\u202e", "\u2066", "\u0007", "\u001b", "\u200b", "\u2028", "\ud800"]) {
      assert.equal(plain(`a${hostile}b`), "a\u{fffd}b");
    }
    assert.equal(plain("x".repeat(10_000)).length, 201);
    assert.equal(plain(null), "");
    assert.equal(plain({ toString: () => "<b>" }), "<b>");
  });

  test("a guest who is called like somebody's login is still a guest", () => {
    const guest = { role: "callee", party: "g-1", name: "olga (olga)", login: null, kind: "guest", zone: null, transport: null };
    assert.equal(who(guest), "olga (olga) (guest)");
  });
});

describe("roles", () => {
  test("each has its pages: all the alarms and the emergency stop, recovery only those, and operators no policy", () => {
    assert.deepEqual(Object.keys(PAGES).sort(), Object.keys(ROLES).sort());
    assert.ok(Object.values(PAGES).every((pages) => pages[0] === "tg-alarms" && pages[1] === "tg-emergency"));
    assert.deepEqual(PAGES.recovery, ["tg-alarms", "tg-emergency"]);
    const own = "tg-security-keys";
    assert.deepEqual(PAGES.operator, ["tg-alarms", "tg-emergency", "tg-sessions", "tg-bandwidth", own]);
    assert.ok(!PAGES.policy_administrator.includes("tg-sessions"));
  });

  test("auditors look at a stop and press nothing", () => {
    assert.deepEqual(MAY_STOP, ["operator", "policy_administrator", "recovery", "break_glass"]);
  });

  test("the break-glass account sees what operators and policy administrators do, and has no keys of its own", () => {
    const theirs = new Set([...PAGES.operator, ...PAGES.policy_administrator]);
    theirs.delete("tg-security-keys");
    assert.deepEqual(new Set(PAGES.break_glass), theirs);
    assert.deepEqual(MAY_END, ["operator", "break_glass"]);
    assert.deepEqual(MAY_SET_POLICY, ["policy_administrator", "break_glass"]);
  });

  test("every action of the policy can be asked about and none of administration", () => {
    assert.ok(ACTIONS.includes("screen.share"));
    assert.ok(ACTIONS.every((action) => !action.startsWith("admin.")));
  });
});
