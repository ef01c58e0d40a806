// What encoders are asked for so that a call keeps to its limits.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { rate } from "../../broker/web/protocol/words.js";
import { encoderBits, keepTo, limitWords, scaleDownBy, UNLIMITED } from "../../broker/web/rtc/limits.js";

describe("an encoder", () => {
  test("is asked for less than the limit, by what the packets add, and never for nothing", () => {
    assert.equal(encoderBits("audio", 40_000), 24_000);
    for (const limit of [100_000, 300_000, 2_500_000]) {
      const share = encoderBits("video", limit) / limit;
      assert.ok(share > 0.8 && share < 0.95, `${share}`);
    }
    assert.deepEqual([encoderBits("audio", 0), encoderBits("video", 0), encoderBits("screen", 0)], [6000, 20_000, 20_000]);
  });

  test("makes the picture smaller where the limit is low, and a screen later than a camera's", () => {
    const scales = (medium) => [null, 1e6, 300_000, 299_999, 149_999, 119_999, 0].map((limit) => scaleDownBy(medium, limit));
    assert.deepEqual(scales("video"), [1, 1, 1, 2, 2, 4, 4]);
    assert.deepEqual(scales("screen"), [1, 1, 1, 1, 2, 2, 2]);
    assert.deepEqual(scales("audio"), [1, 1, 1, 1, 1, 1, 1]);
  });

  test("is left alone where nothing changes, and is free again where the limit is gone", () => {
    const camera = { active: true, scaleResolutionDownBy: 1 };
    assert.equal(keepTo(camera, "video", null), false);
    assert.equal(keepTo(camera, "video", 100_000), true);
    assert.deepEqual([camera.maxBitrate, camera.scaleResolutionDownBy], [encoderBits("video", 100_000), 4]);
    assert.equal(keepTo(camera, "video", 100_000), false);
    assert.equal(keepTo(camera, "video", null), true);
    assert.deepEqual(camera, { active: true, scaleResolutionDownBy: 1 });
    const microphone = {};
    assert.equal(keepTo(microphone, "audio", 40_000), true);
    assert.deepEqual(microphone, { maxBitrate: 24_000 });
  });
});

describe("words", () => {
  test("for rates are short", () => {
    assert.deepEqual([0, 499, 40_000, 332_673, 999_499, 999_500, 1_500_000, 12_345_678, 999_600_000, 1e11].map(rate),
      ["0 kb/s", "0 kb/s", "40 kb/s", "333 kb/s", "999 kb/s", "1 Mb/s", "1.5 Mb/s", "12.3 Mb/s", "1000 Mb/s", "100 Gb/s"]);
  });

  test("for limits name those there are", () => {
    assert.equal(limitWords({ audio: 40_000, video: 300_000, screen: null }), "sound 40 kb/s, picture 300 kb/s");
    assert.equal(limitWords({ audio: null, video: null, screen: 1_500_000 }), "screen 1.5 Mb/s");
    assert.equal(limitWords(UNLIMITED), "No limit.");
  });
});
