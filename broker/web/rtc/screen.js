/**
 * The screen, a window or a tab to show: the browser asks the person which.
 *
 * @typedef {object} Screen
 * @property {MediaStreamTrack | null} track
 * @property {string | null} sentence why there is none; null where the person has only changed their mind
 */

/**
 * @param {MediaDevices | undefined} [mediaDevices]
 * @returns {boolean}
 */
export function canShowScreen(mediaDevices = globalThis.navigator?.mediaDevices) {
  return typeof mediaDevices?.getDisplayMedia === "function";
}

/**
 * @param {MediaDevices | undefined} [mediaDevices]
 * @returns {Promise<Screen>}
 */
export async function openScreen(mediaDevices = globalThis.navigator?.mediaDevices) {
  if (mediaDevices === undefined || !canShowScreen(mediaDevices)) {
    return { track: null, sentence: "This browser cannot show a screen." };
  }
  try {
    const stream = await mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false });
    const track = stream.getVideoTracks()[0] ?? null;
    // Text must stay legible; a picture that comes late is the lesser evil.
    if (track !== null) track.contentHint = "detail";
    return { track, sentence: null };
  } catch (error) {
    const changedMind = error instanceof Error && error.name === "NotAllowedError";
    return { track: null, sentence: changedMind ? null : "The screen could not be opened." };
  }
}
