// The console's plots of bandwidth: what is drawn where, and the words for those who do not see it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { limitOf, limitRate, otherLimits, plot, plotWords, rateMarks, rowOf, scopes, scopeWords, SIZE, usedRate } from "../../broker/web/protocol/bandwidth.js";

function limit(changes) {
  return {
    id: "all", of: "total", zone: null, media: "all", owner: "o", reason: "r.",
    from_inside_bits_per_second: 1_500_000, to_inside_bits_per_second: null, ...changes,
  };
}

function series(bits) {
  const ways = { from_inside: bits, to_inside: bits.map((one) => one * 2) };
  return { hour: ways, live: { from_inside: [...bits, 7000], to_inside: [] } };
}

const TOLD = {
  series: { "zone:lab": series([]), total: series([1000, 90_000, 4000]), "zone:hq": series([0]) },
  step_seconds: 10,
  limits: [limit({}), limit({ id: "less", from_inside_bits_per_second: 600_000, to_inside_bits_per_second: 800_000 }),
    limit({ id: "hq", of: "zone", zone: "hq" }), limit({ id: "pictures", media: "video", from_inside_bits_per_second: 1 })],
};

describe("scopes", () => {
  test("are everything together and then each zone, by name", () => {
    assert.deepEqual(scopes(TOLD), ["total", "zone:hq", "zone:lab"]);
    assert.deepEqual(["total", "zone:a\u202eb"].map(scopeWords), ["All calls", "Zone a\u{fffd}b"]);
  });

  test("have the strictest limit of all their media each way, or none", () => {
    assert.equal(limitOf(TOLD.limits, "total", "from_inside"), 600_000);
    assert.equal(limitOf(TOLD.limits, "total", "to_inside"), 800_000);
    assert.equal(limitOf(TOLD.limits, "zone:hq", "from_inside"), 1_500_000);
    assert.equal(limitOf(TOLD.limits, "zone:hq", "to_inside"), null);
    assert.equal(limitOf(TOLD.limits, "zone:lab", "from_inside"), null);
  });
});

describe("words", () => {
  test("tell the newest, the highest and the limit", () => {
    const row = rowOf(TOLD, "total", "from_inside", "hour");
    assert.deepEqual(row, { scope: "total", way: "from_inside", newest: 7000, highest: 90_000, limit: 600_000 });
    assert.equal(plotWords(row), "From inside: 7 kb/s now, limit 600 kb/s");
    const nothing = rowOf(TOLD, "zone:lab", "to_inside", "live");
    assert.deepEqual([nothing.newest, nothing.highest, nothing.limit], [null, null, null]);
    assert.equal(plotWords(nothing), "To inside: nothing is known yet, no limit");
    assert.deepEqual([usedRate(null), usedRate(0), limitRate(null), limitRate(64_000)], ["not known", "0 kb/s", "none", "64 kb/s"]);
  });

  test("tell of every limit that is no line, and of nothing else", () => {
    const each = limit({ id: "each", of: "user", to_inside_bits_per_second: 64_000, reason: "\u202eBecause." });
    const screens = limit({ id: "s", of: "zone", zone: "hq", media: "screen" });
    assert.deepEqual(otherLimits([limit({}), limit({ of: "zone", zone: "hq" }), each, screens, limit({ of: "call" })]), [
      "Each person: from inside at most 1.5 Mb/s, to inside at most 64 kb/s. \u{fffd}Because. (each, o)",
      "Zone hq, only screens: from inside at most 1.5 Mb/s. r. (s, o)",
      "Each call: from inside at most 1.5 Mb/s. r. (all, o)",
    ]);
  });
});

describe("a plot", () => {
  const points = (line) => line.split(" ").map((point) => point.split(",").map(Number));

  test("has the newest point at its right end and an hour or a minute across", () => {
    const whole = points(plot(Array(360).fill(50_000), null, "hour", 10).line);
    assert.equal(whole.length, 360);
    assert.equal(whole.at(-1)[0], SIZE.right);
    assert.ok(whole[0][0] > SIZE.left && whole[0][0] < SIZE.left + 2);
    const minute = points(plot(Array(60).fill(50_000), null, "live", 10).line);
    assert.ok(minute[0][0] > SIZE.left && minute[0][0] < SIZE.left + 10);
    assert.ok(points(plot([1, 2], null, "hour", 10).line)[0][0] > SIZE.right - 2);
    assert.equal(points(plot(Array(1000).fill(1), null, "live", 10).line).length, 60);
  });

  test("has nothing at the bottom, and its highest and its limit below the top", () => {
    const { line, limit: at, rates } = plot([0, 1_000_000], 750_000, "live", 10);
    const [[, none], [, most]] = points(line);
    assert.equal(none, SIZE.bottom);
    assert.ok(most > SIZE.top && most < at && at < SIZE.bottom);
    assert.deepEqual([rates[0].label, rates.at(-1).label], ["0 kb/s", "1.5 Mb/s"]);
    assert.deepEqual([rates[0].at, rates.at(-1).at], [SIZE.bottom, SIZE.top]);
    assert.ok(plot([0], 1e9, "live", 10).limit > SIZE.top);
    assert.equal(plot([0], null, "live", 10).limit, null);
  });

  test("of one point is a line that is seen, and of none is empty", () => {
    assert.equal(points(plot([5], null, "hour", 10).line).length, 2);
    assert.equal(plot([], null, "hour", 10).line, "");
  });

  test("is marked with times from the past to now", () => {
    const labels = (span) => plot([], null, span, 10).times.map(({ label }) => label);
    assert.deepEqual(labels("hour"), ["−60 min", "−45 min", "−30 min", "−15 min", "now"]);
    assert.deepEqual(labels("live"), ["−1 min", "−½ min", "now"]);
    assert.deepEqual(plot([], null, "hour", 10).times.map(({ at }) => at).filter((at) => at < SIZE.left || at > SIZE.right), []);
  });

  test("is marked with round rates, at most four above nothing", () => {
    assert.deepEqual(rateMarks(0), [0, 10_000, 20_000, 30_000, 40_000]);
    assert.deepEqual(rateMarks(1_500_000), [0, 500_000, 1_000_000, 1_500_000, 2_000_000]);
    for (const highest of [1, 39_999, 64_000, 95_239, 750_000, 999_999, 1e11]) {
      const marks = rateMarks(highest);
      assert.ok(marks.length >= 3 && marks.length <= 5, `${highest}: ${marks}`);
      assert.ok(marks.at(-1) > highest && marks.at(-1) <= Math.max(highest * 2.2, 40_000), `${highest}: ${marks}`);
    }
  });
});
