/**
 * Camera and microphone: opened with what there is, never a reason not to have a call.
 *
 * @typedef {"audio" | "video"} MediaKind
 *
 * What was asked for and what could be opened.
 * @typedef {object} Devices
 * @property {MediaStream} stream may have no track at all
 * @property {string[]} remarks one sentence per kind that could not be opened
 *
 * @typedef {object} Wish
 * @property {boolean} audio
 * @property {boolean} video
 * @property {string} [audio_device_id]
 * @property {string} [video_device_id]
 */

const NAMES = { audio: "microphone", video: "camera" };

/**
 * Opens both in one question to the person; when that fails, each alone, so that a missing camera costs no microphone.
 * @param {Wish} wish
 * @param {MediaDevices | undefined} [mediaDevices] absent where the page is not in a secure context
 * @returns {Promise<Devices>}
 */
export async function openDevices(wish, mediaDevices = globalThis.navigator?.mediaDevices) {
  const kinds = /** @type {MediaKind[]} */ (["audio", "video"]).filter((kind) => wish[kind]);
  if (kinds.length === 0) return { stream: new MediaStream(), remarks: [] };
  if (mediaDevices === undefined) {
    return { stream: new MediaStream(), remarks: ["This browser gives this page no camera or microphone."] };
  }
  try {
    return { stream: await mediaDevices.getUserMedia(constraints(kinds, wish)), remarks: [] };
  } catch (error) {
    if (kinds.length === 1) return { stream: new MediaStream(), remarks: [remark(kinds, error)] };
  }
  const stream = new MediaStream();
  const remarks = [];
  for (const kind of kinds) {
    try {
      const single = await mediaDevices.getUserMedia(constraints([kind], wish));
      for (const track of single.getTracks()) stream.addTrack(track);
    } catch (error) {
      remarks.push(remark([kind], error));
    }
  }
  return { stream, remarks };
}

/**
 * @param {MediaKind[]} kinds
 * @param {Wish} wish
 * @returns {MediaStreamConstraints}
 */
function constraints(kinds, wish) {
  const audio = { echoCancellation: true, noiseSuppression: true, ...chosen(wish.audio_device_id) };
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, ...chosen(wish.video_device_id) };
  return { audio: kinds.includes("audio") && audio, video: kinds.includes("video") && video };
}

/** @param {string | undefined} device_id */
function chosen(device_id) {
  return device_id ? { deviceId: { ideal: device_id } } : {};
}

/**
 * @param {MediaKind[]} kinds
 * @param {unknown} error
 */
function remark(kinds, error) {
  const what = kinds.map((kind) => NAMES[kind]).join(" or ");
  switch (error instanceof Error ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return `The browser does not let this page use the ${what}.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${what} was found.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${what} is in use by another program or does not work.`;
    default:
      return `The ${what} could not be opened.`;
  }
}

/**
 * Lets go of camera and microphone.
 * @param {MediaStream | null} stream
 */
export function closeDevices(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/**
 * Cameras and microphones to choose from; their names are known only once one of them was allowed.
 * @param {MediaKind} kind
 * @returns {Promise<{device_id: string, label: string}[]>}
 */
export async function listDevices(kind) {
  const devices = (await globalThis.navigator?.mediaDevices?.enumerateDevices()) ?? [];
  return devices
    .filter((device) => device.kind === `${kind}input` && device.deviceId !== "")
    .map(({ deviceId, label }) => ({ device_id: deviceId, label }));
}
