/**
 * The way to the relay: by UDP where the network lets it through, else by TCP, else by TLS. Left to themselves browsers
 * gather by all of them and may settle for one that is not the best.
 *
 * @typedef {{urls: string[], username: string, credential: string}} RelayServer
 */

/** Of each way over the next. */
const HEAD_START_MS = 400;
const PATIENCE_MS = 4000;

/**
 * The first of the URLs, in their order, by which a relayed address is to be had; all of them when there is none, so
 * that what comes of it can be told from the errors.
 * @param {RelayServer} server
 * @returns {Promise<string[]>}
 */
export async function reachableUrls({ urls, username, credential }) {
  const found = new AbortController();
  const asked = urls.map((url, place) =>
    gives({ urls: [url], username, credential }, place * HEAD_START_MS, found.signal));
  try {
    for (const [place, url] of urls.entries()) if (await asked[place]) return [url];
    return urls;
  } finally {
    found.abort();
  }
}

/**
 * Whether this server gives a relayed address; false as well once nobody needs to know.
 * @param {RelayServer} server
 * @param {number} afterMs
 * @param {AbortSignal} nobody
 * @returns {Promise<boolean>}
 */
function gives(server, afterMs, nobody) {
  return new Promise((resolve) => {
    /** @type {RTCPeerConnection | null} */
    let connection = null;
    const done = (/** @type {boolean} */ answer) => {
      clearTimeout(timer);
      connection?.close();
      resolve(answer);
    };
    const ask = () => {
      timer = window.setTimeout(() => done(false), PATIENCE_MS);
      connection = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: "relay" });
      connection.addEventListener("icecandidate", ({ candidate }) => {
        if (candidate === null || candidate.type === "relay") done(candidate !== null);
      });
      // Something to gather for; it is never negotiated.
      connection.createDataChannel("way");
      connection.setLocalDescription().catch(() => done(false));
    };
    let timer = window.setTimeout(ask, afterMs);
    nobody.addEventListener("abort", () => done(false));
  });
}
