/**
 * What a call's media may send, and what a browser's encoders are asked for so that they keep to it.
 *
 * @import {Limits} from "../protocol/state.js"
 */

import { rate } from "../protocol/words.js";

/** @type {Limits} */
export const UNLIMITED = { audio: null, video: null, screen: null };

/** Of one RTP packet beside its payload: header, extensions, and the tag of SRTP. */
const PACKET_OVERHEAD_BITS = 40 * 8;
const AUDIO_PACKETS_PER_SECOND = 50;
const VIDEO_PACKETS_PER_SECOND = 30;
const VIDEO_PACKET_BITS = 1100 * 8;
/** Below these browsers refuse the parameter, or make nothing useful of it. */
const MIN_AUDIO_ENCODER_BITS = 6000;
const MIN_VIDEO_ENCODER_BITS = 20_000;
/** Video encoders swing around what they are asked for. */
const VIDEO_SWING = 0.95;

/**
 * For an encoder, which knows nothing of the packets around what it makes.
 * @param {keyof Limits} medium
 * @param {number | null} limit
 * @returns {number | undefined} undefined for as much as the browser likes
 */
export function encoderBits(medium, limit) {
  if (limit === null) return undefined;
  if (medium === "audio") {
    return Math.max(MIN_AUDIO_ENCODER_BITS, limit - AUDIO_PACKETS_PER_SECOND * PACKET_OVERHEAD_BITS);
  }
  const packets = Math.max(VIDEO_PACKETS_PER_SECOND, limit / VIDEO_PACKET_BITS);
  return Math.max(MIN_VIDEO_ENCODER_BITS, Math.floor((limit - packets * PACKET_OVERHEAD_BITS) * VIDEO_SWING));
}

/**
 * By how much a picture is made smaller, so that an encoder at its worst quality still keeps the limit. A screen stays
 * legible for longer.
 * @param {keyof Limits} medium
 * @param {number | null} limit
 */
export function scaleDownBy(medium, limit) {
  if (limit === null || medium === "audio") return 1;
  if (medium === "screen") return limit < 150_000 ? 2 : 1;
  return limit < 120_000 ? 4 : limit < 300_000 ? 2 : 1;
}

/**
 * Changes a sender's encoding to what the limit asks for.
 * @param {RTCRtpEncodingParameters} encoding
 * @param {keyof Limits} medium
 * @param {number | null} limit
 * @returns {boolean} whether it was another before
 */
export function keepTo(encoding, medium, limit) {
  const bits = encoderBits(medium, limit);
  const scale = scaleDownBy(medium, limit);
  if (encoding.maxBitrate === bits && (encoding.scaleResolutionDownBy ?? 1) === scale) return false;
  if (bits === undefined) delete encoding.maxBitrate;
  else encoding.maxBitrate = bits;
  if (medium !== "audio") encoding.scaleResolutionDownBy = scale;
  return true;
}

/**
 * @param {Limits} limits
 * @returns {string}
 */
export function limitWords({ audio, video, screen }) {
  const each = /** @type {const} */ ([["sound", audio], ["picture", video], ["screen", screen]]);
  const words = each.flatMap(([name, limit]) => (limit === null ? [] : [`${name} ${rate(limit)}`]));
  return words.length === 0 ? "No limit." : words.join(", ");
}
