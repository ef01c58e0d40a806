/**
 * Figures of a running call, read from WebRTC statistics.
 *
 * @typedef {object} Flow one kind of media in one direction
 * @property {number} packets
 * @property {number} bytes
 * @property {number} lost only known for what is received
 * @property {number} frames decoded or encoded; 0 for audio
 *
 * @typedef {object} Path the candidate pair that carries the call
 * @property {string} local candidate type, `relay` in this product
 * @property {string} remote
 * @property {string} relay_protocol how this side reaches the relay: udp, tcp or tls
 * @property {number | null} round_trip_ms
 *
 * @typedef {object} Figures
 * @property {Path | null} path
 * @property {{audio: Flow, video: Flow}} received
 * @property {{audio: Flow, video: Flow}} sent
 */

/**
 * @param {Iterable<Record<string, any>>} reports the values of an RTCStatsReport
 * @returns {Figures}
 */
export function figures(reports) {
  const all = [...reports];
  const byId = new Map(all.map((report) => [report["id"], report]));
  const transport = all.find((report) => report["type"] === "transport");
  const pair = byId.get(transport?.["selectedCandidatePairId"]);
  const local = byId.get(pair?.["localCandidateId"]);
  const remote = byId.get(pair?.["remoteCandidateId"]);
  const seconds = pair?.["currentRoundTripTime"];
  return {
    path: local && remote
      ? {
          local: local["candidateType"],
          remote: remote["candidateType"],
          relay_protocol: local["relayProtocol"] ?? local["protocol"],
          round_trip_ms: typeof seconds === "number" ? Math.round(seconds * 1000) : null,
        }
      : null,
    received: bothKinds(all, "inbound-rtp", "packetsReceived", "bytesReceived", "framesDecoded"),
    sent: bothKinds(all, "outbound-rtp", "packetsSent", "bytesSent", "framesEncoded"),
  };
}

/**
 * @param {Record<string, any>[]} reports
 * @param {string} type
 * @param {string} packets
 * @param {string} bytes
 * @param {string} frames
 */
function bothKinds(reports, type, packets, bytes, frames) {
  const flow = (/** @type {string} */ kind) => {
    const of = reports.filter((report) => report["type"] === type && report["kind"] === kind);
    const sum = (/** @type {string} */ name) => of.reduce((total, report) => total + (report[name] ?? 0), 0);
    return { packets: sum(packets), bytes: sum(bytes), lost: sum("packetsLost"), frames: sum(frames) };
  };
  return { audio: flow("audio"), video: flow("video") };
}
