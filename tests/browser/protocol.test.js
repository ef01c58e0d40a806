// The smaller modules that know no page: back-off, socket, statistics, and words.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { mayReconnect, reconnectDelayMs } from "../../broker/web/protocol/backoff.js";
import { EdgeSocket, parseFrame } from "../../broker/web/protocol/socket.js";
import { duration, nameWithSide } from "../../broker/web/protocol/words.js";
import { figures } from "../../broker/web/rtc/figures.js";
import { relayTrouble } from "../../broker/web/rtc/relay-trouble.js";

describe("back-off", () => {
  test("starts at once, doubles, stays under half a minute, and half of it is chance", () => {
    assert.equal(reconnectDelayMs(0, 0.9), 0);
    assert.deepEqual([reconnectDelayMs(1, 0), reconnectDelayMs(1, 1)], [250, 500]);
    assert.equal(reconnectDelayMs(3, 1), 2000);
    assert.deepEqual([reconnectDelayMs(50, 0), reconnectDelayMs(50, 1)], [15_000, 30_000]);
  });

  test("only closures that may end differently next time are tried again", () => {
    assert.deepEqual([1000, 1001, 1006, 4408, 4503].filter(mayReconnect), [1000, 1001, 1006, 4408, 4503]);
    assert.deepEqual([4400, 4401, 4403, 4429].filter(mayReconnect), []);
  });
});

describe("frames", () => {
  test("are JSON objects with a type, and anything else is nothing", () => {
    assert.deepEqual(parseFrame('{"type":"lobby.refused"}'), { type: "lobby.refused" });
    for (const text of ["", "{", "null", "[]", '"x"', "{}", '{"type":1}', new ArrayBuffer(2)]) {
      assert.equal(parseFrame(text), null);
    }
  });
});

class FakeWebSocket extends EventTarget {
  static OPEN = 1;
  static made = [];
  readyState = 0;
  sent = [];

  constructor(url, protocol) {
    super();
    Object.assign(this, { url, protocol });
    FakeWebSocket.made.push(this);
  }

  send(text) {
    this.sent.push(text);
  }

  close() {
    this.readyState = 3;
  }

  opens() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  closes(code) {
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}

function socket() {
  const heard = [];
  const listener = {
    opened: () => heard.push("opened"),
    frame: (frame) => heard.push(frame.type),
    lost: (code, everOpened) => heard.push(["lost", code, everOpened]),
  };
  const edge = new EdgeSocket("wss://edge/ws", listener, FakeWebSocket);
  edge.open();
  return { edge, heard, wire: FakeWebSocket.made.at(-1) };
}

describe("the socket", () => {
  test("speaks the subprotocol, and sends only while it is open", () => {
    const { edge, wire, heard } = socket();
    assert.equal(wire.protocol, "turngate.v1");
    assert.equal(edge.send({ type: "lobby.admit", guest: "g" }), false);
    wire.opens();
    assert.equal(edge.send({ type: "lobby.admit", guest: "g" }), true);
    wire.dispatchEvent(Object.assign(new Event("message"), { data: '{"type":"lobby.left","guest":"g"}' }));
    wire.closes(1006);
    assert.deepEqual(heard, ["opened", "lobby.left", ["lost", 1006, true]]);
  });

  test("says whether a lost connection had ever been open", () => {
    const { wire, heard } = socket();
    wire.closes(1006);
    assert.deepEqual(heard, [["lost", 1006, false]]);
  });

  test("has one connection at a time, and reports nothing of one it closed itself", () => {
    const { edge, wire, heard } = socket();
    const made = FakeWebSocket.made.length;
    edge.open();
    assert.equal(FakeWebSocket.made.length, made);
    edge.close();
    wire.opens();
    wire.closes(1000);
    assert.deepEqual(heard, []);
  });
});

describe("why no relayed address was found", () => {
  test("wrong credentials are told from a blocked network and from a full relay", () => {
    assert.match(relayTrouble([{ errorCode: 701 }, { errorCode: 401 }]), /credentials/);
    assert.match(relayTrouble([{ errorCode: 701 }]), /relay cannot be reached from this network/);
    assert.match(relayTrouble([]), /relay cannot be reached from this network/);
    assert.match(relayTrouble([{ errorCode: 486 }]), /no room/);
    assert.match(relayTrouble([{ errorCode: 400 }]), /code 400/);
  });
});

describe("the figures of a call", () => {
  test("name the chosen pair's kinds and add up what flows", () => {
    const report = figures([
      { id: "T", type: "transport", selectedCandidatePairId: "P" },
      { id: "P", type: "candidate-pair", localCandidateId: "L", remoteCandidateId: "R", currentRoundTripTime: 0.0123 },
      { id: "L", type: "local-candidate", candidateType: "relay", relayProtocol: "udp" },
      { id: "R", type: "remote-candidate", candidateType: "relay" },
      { id: "V", type: "inbound-rtp", kind: "video", packetsReceived: 7, bytesReceived: 700, framesDecoded: 3, packetsLost: 1 },
      { id: "A", type: "outbound-rtp", kind: "audio", packetsSent: 5, bytesSent: 50 },
    ]);
    assert.deepEqual(report.path, { local: "relay", remote: "relay", relay_protocol: "udp", round_trip_ms: 12 });
    assert.deepEqual(report.received.video, { packets: 7, bytes: 700, lost: 1, frames: 3 });
    assert.deepEqual(report.sent.audio, { packets: 5, bytes: 50, lost: 0, frames: 0 });
  });

  test("say that no pair was chosen yet", () => {
    assert.equal(figures([]).path, null);
  });
});

describe("words", () => {
  test("a duration has hours only when there are any", () => {
    assert.deepEqual([0, 61_000, 3_661_000, -5].map(duration), ["0:00", "1:01", "1:01:01", "0:00"]);
  });

  test("outsiders are named as such", () => {
    assert.equal(nameWithSide({ party: "g", name: "Grace", kind: "guest", status: "away" }), "Grace (outside)");
  });
});
