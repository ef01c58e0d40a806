// The client's session as a playbook: events in, commands out, no socket and no page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { programWords } from "../../broker/web/protocol/sign-ins.js";
import { safeLink, standing } from "../../broker/web/protocol/words.js";
import { ALICE, BOB, GRACE, Play, error, insider, sent, spoken } from "./session-play.js";

function guest(host = null) {
  const play = new Play();
  play.tell({ type: "guest.welcome", you: GRACE, notice: "Recorded.", ...(host && { host }) });
  return play;
}

describe("the program", () => {
  const LINK = "https://get.example/turngate";
  const REFUSED = { type: "client.refused", message: "Version 9 is here.", link: LINK };
  const OUTDATED = { ...REFUSED, type: "client.outdated" };

  test("names itself with the product's version", () => {
    const project = readFileSync(new URL("../../pyproject.toml", import.meta.url), "utf8");
    const version = /^version = "([^"]+)"$/m.exec(project)?.[1];
    const [{ client }] = sent(new Play().want({ event: "link.opened" }));
    assert.deepEqual(client, { name: "turngate-web", version });
  });

  test("that is refused is told with the link, and the link is not tried again until the person asks", () => {
    const play = new Play();
    play.want({ event: "link.opened" });
    assert.deepEqual(spoken(play.tell(REFUSED)), ["Version 9 is here."]);
    assert.deepEqual(play.tell(error("CLIENT_REFUSED")), []);
    assert.deepEqual(play.want({ event: "link.lost", code: 4426 }), []);
    assert.deepEqual(play.state.program, { standing: "refused", message: "Version 9 is here.", link: LINK });
    assert.deepEqual([play.state.link, play.state.signed_out, play.state.problems], ["ended", false, []]);
    assert.equal(play.state.farewell, "This version of the program is not allowed here.");
    assert.deepEqual(play.want({ event: "link.retry" }), [{ command: "connect", lost_links: 0 }]);
    play.tell({ type: "welcome", you: ALICE, contacts: [], invitations: [], lobby: [] });
    assert.equal(play.state.program, null);
  });

  test("that is refused in a call has none any more", () => {
    const play = insider();
    play.want({ event: "call.start", ref: "r", party: BOB.party, video: false });
    play.tell(REFUSED);
    play.want({ event: "link.lost", code: 4426 });
    assert.equal(play.call.phase, "ended");
    assert.equal(play.state.program.standing, "refused");
  });

  test("that is outdated goes on, until the person puts the notice away", () => {
    const play = insider();
    assert.deepEqual(spoken(play.tell(OUTDATED)), ["Version 9 is here."]);
    assert.deepEqual(play.state.program, { standing: "outdated", message: "Version 9 is here.", link: LINK });
    assert.equal(play.state.link, "online");
    assert.deepEqual(play.want({ event: "program.dismiss" }), []);
    assert.equal(play.state.program, null);
  });

  test("is had from addresses of https only", () => {
    assert.equal(safeLink(LINK), LINK);
    for (const link of ["http://get.example/", "javascript:alert(1)", "data:text/html,x", "//get.example/", "/x", "", "https://"]) {
      assert.equal(safeLink(link), null, link);
    }
  });
});

describe("where one is signed in", () => {
  const info = (/** @type {string} */ sign_in_id, /** @type {string} */ network) =>
    ({ sign_in_id, network, program: "", began_at: 1, used_at: 1, expires_at: 2, in_use: false, this_one: false });

  test("is asked for, and ended, at the edge", () => {
    const play = insider();
    assert.deepEqual(sent(play.want({ event: "sign_ins.ask", ref: "1" })), [{ type: "sign_ins.list", ref: "1" }]);
    const end = { event: "sign_ins.end", ref: "2", sign_in_id: "s-1" };
    assert.deepEqual(sent(play.want(end)), [{ type: "sign_in.revoke", ref: "2", sign_in_id: "s-1" }]);
    assert.deepEqual(sent(play.want({ event: "sign_ins.end_others", ref: "3" })), [{ type: "sign_in.revoke_others", ref: "3" }]);
  });

  test("is what the edge last said, and each end is told", () => {
    const play = insider();
    const [desk, train] = [info("s-1", "192.0.2.0/24"), info("s-2", "198.51.100.0/24")];
    assert.deepEqual(play.tell({ type: "sign_ins", ref: "1", sign_ins: [desk, train] }), []);
    assert.deepEqual(play.state.sign_ins, [desk, train]);
    const commands = play.tell({ type: "sign_ins", ref: "2", sign_ins: [desk] });
    assert.deepEqual(spoken(commands), ["The sign-in from 198.51.100.0/24 has ended."]);
    assert.deepEqual(play.state.sign_ins, [desk]);
  });

  test("names what used it in words, and takes no program's word for ours", () => {
    assert.equal(programWords(""), "Not used yet");
    assert.equal(programWords("turngate-web 0.1.0"), "Web page");
    assert.equal(programWords("turngate-webber 1"), "turngate-webber 1");
  });
});

describe("the link", () => {
  test("says hello first, with the client's name and version", () => {
    const [hello] = sent(new Play().want({ event: "link.opened" }));
    assert.equal(hello.type, "hello");
    assert.deepEqual(Object.keys(hello.client), ["name", "version"]);
  });

  test("is tried again after a loss, later each time, and at once when the person asks", () => {
    const play = insider();
    assert.deepEqual(play.want({ event: "link.lost", code: 1006 }), [{ command: "connect", lost_links: 1 }]);
    assert.deepEqual(play.want({ event: "link.lost", code: 1006 }), [{ command: "connect", lost_links: 2 }]);
    assert.equal(play.state.link, "waiting");
    assert.deepEqual(play.want({ event: "link.retry" }), [{ command: "connect", lost_links: 0 }]);
  });

  test("is not tried again when the edge would only refuse again", () => {
    const play = insider();
    play.tell(error("TOO_MANY_CONNECTIONS"));
    assert.deepEqual(play.want({ event: "link.lost", code: 4429 }), []);
    assert.equal(play.state.link, "ended");
    assert.equal(play.state.farewell, "It cannot be done.");
    assert.equal(play.state.signed_out, false);
  });

  test("ends in being signed out when the edge says so", () => {
    const play = insider();
    play.want({ event: "link.lost", code: 4401 });
    assert.deepEqual([play.state.link, play.state.signed_out], ["ended", true]);
  });

  test("is not the fault of an error shown long before it was lost", () => {
    const play = insider();
    play.tell(error("RATE_LIMITED"));
    play.want({ event: "link.lost", code: 1006 });
    assert.equal(play.state.farewell, null);
  });

  test("ignores frames of a newer edge", () => {
    const play = insider();
    const before = play.state;
    assert.deepEqual(play.tell({ type: "hologram.opened" }), []);
    assert.deepEqual(play.tell({ type: "constructor" }), []);
    assert.equal(play.state, before);
  });

  test("tells the edge the chosen status again after a reconnect", () => {
    const play = insider();
    assert.deepEqual(sent(play.want({ event: "presence.choose", status: "busy" })), [
      { type: "presence.set", status: "busy" },
    ]);
    play.want({ event: "link.lost", code: 1006 });
    const commands = play.tell({ type: "welcome", you: ALICE, contacts: [], invitations: [], lobby: [] });
    assert.deepEqual(sent(commands), [{ type: "presence.set", status: "busy" }]);
  });
});

describe("contacts", () => {
  test("come, change and go; those with messages stay to be read", () => {
    const play = insider([BOB]);
    play.tell({ type: "presence.changed", contact: GRACE });
    play.tell({ type: "presence.status", party: "p-bob", status: "away" });
    play.tell({ type: "chat.message", message_id: "m-1", sender: GRACE, text: "hi", sent_at_ms: 5 });
    play.tell({ type: "contact.gone", party: "p-bob" });
    play.tell({ type: "contact.gone", party: "g-grace" });
    assert.deepEqual(Object.keys(play.state.conversations), ["g-grace"]);
    assert.equal(play.conversation("g-grace").reachable, false);
    assert.equal(play.conversation("g-grace").contact.status, "offline");
  });

  test("are those of the newest welcome", () => {
    const play = insider([BOB, GRACE]);
    play.tell({ type: "welcome", you: ALICE, contacts: [GRACE], invitations: [], lobby: [] });
    assert.deepEqual(Object.keys(play.state.conversations), ["g-grace"]);
  });
});

describe("chat", () => {
  test("a message is sending until the edge has accepted it", () => {
    const play = insider();
    const commands = play.want({ event: "chat.write", ref: "r1", to: "p-bob", text: "hi", now_ms: 1 });
    assert.deepEqual(sent(commands), [{ type: "chat.send", ref: "r1", to: "p-bob", text: "hi" }]);
    assert.equal(play.conversation("p-bob").messages[0].delivery, "sending");
    play.tell({ type: "chat.accepted", ref: "r1", message_id: "m-1", sent_at_ms: 9 });
    const [message] = play.conversation("p-bob").messages;
    assert.deepEqual([message.delivery, message.at_ms], ["accepted", 9]);
  });

  test("a refused message says why, with the decision, and troubles nothing else", () => {
    const play = insider();
    play.want({ event: "chat.write", ref: "r1", to: "p-bob", text: "hi", now_ms: 1 });
    play.tell(error("POLICY_DEFAULT_DENY", { ref: "r1" }));
    const [message] = play.conversation("p-bob").messages;
    assert.equal(message.delivery, "failed");
    assert.equal(message.problem.decision_id, "d-1");
    assert.deepEqual(play.state.problems, []);
  });

  test("what was not answered is said again, with the same ref, when the link is back", () => {
    const play = insider();
    play.want({ event: "chat.write", ref: "r1", to: "p-bob", text: "one", now_ms: 1 });
    play.tell({ type: "chat.accepted", ref: "r1", message_id: "m-1", sent_at_ms: 9 });
    play.want({ event: "chat.write", ref: "r2", to: "p-bob", text: "two", now_ms: 2 });
    play.want({ event: "link.lost", code: 1006 });
    assert.deepEqual(sent(play.want({ event: "chat.write", ref: "r3", to: "p-bob", text: "three", now_ms: 3 })), []);
    const again = sent(play.tell({ type: "welcome", you: ALICE, contacts: [BOB], invitations: [], lobby: [] }));
    assert.deepEqual(again.map(({ ref }) => ref), ["r2", "r3"]);
  });

  test("a message that comes twice is answered twice and shown once", () => {
    const play = insider();
    const message = { type: "chat.message", message_id: "m-1", sender: BOB, text: "hi", sent_at_ms: 5 };
    const receipt = { type: "chat.received", message_id: "m-1" };
    assert.deepEqual(sent(play.tell(message)), [receipt]);
    assert.deepEqual(sent(play.tell(message)), [receipt]);
    assert.equal(play.conversation("p-bob").messages.length, 1);
    assert.equal(play.conversation("p-bob").unread, 1);
  });

  test("messages of the open conversation are read; opening another reads its own", () => {
    const play = insider();
    play.want({ event: "chat.select", party: "p-bob" });
    play.tell({ type: "chat.message", message_id: "m-1", sender: BOB, text: "hi", sent_at_ms: 5 });
    const told = spoken(play.tell({ type: "chat.message", message_id: "m-2", sender: GRACE, text: "ho", sent_at_ms: 6 }));
    assert.deepEqual(told, ["New message from Grace (outside)."]);
    assert.deepEqual([play.conversation("p-bob").unread, play.conversation("g-grace").unread], [0, 1]);
    play.want({ event: "chat.select", party: "g-grace" });
    assert.equal(play.conversation("g-grace").unread, 0);
  });

  test("blank messages and strangers are not written to", () => {
    const play = insider();
    assert.deepEqual(play.want({ event: "chat.write", ref: "r1", to: "p-bob", text: " \n", now_ms: 1 }), []);
    assert.deepEqual(play.want({ event: "chat.write", ref: "r1", to: "p-nobody", text: "x", now_ms: 1 }), []);
  });
});

describe("invitations and the lobby", () => {
  const INFO = { invitation_id: "i-1", guest_name: "Grace", purpose: "A talk", expires_at: 10, redemptions: 2, redemptions_left: 1, guests: 1 };
  const WISH = { event: "invitation.ask", ref: "r1", guest_name: "Grace", guest_email: null, purpose: "A talk", expires_in_seconds: null,
    redemptions: 1 };
  const { event: _, ...ASKED } = WISH;

  test("the link is shown until it is put away, and the invitation stays on the list", () => {
    const play = insider();
    assert.deepEqual(sent(play.want(WISH)), [{ type: "invitation.create", ...ASKED }]);
    play.tell({ type: "invitation.created", ref: "r1", invitation: INFO, link: "https://edge/#secret" });
    assert.deepEqual(play.state.fresh_invitation, { invitation: INFO, link: "https://edge/#secret", again: false });
    play.want({ event: "invitation.put_away" });
    assert.equal(play.state.fresh_invitation, null);
    assert.deepEqual(play.state.invitations, [INFO]);
  });

  test("a refusal is shown where it was asked, with the decision", () => {
    const play = insider();
    play.want(WISH);
    play.tell(error("POLICY_DEFAULT_DENY", { ref: "r1" }));
    assert.equal(play.state.invitation_problem.decision_id, "d-1");
    assert.equal(play.state.invitation_ref, null);
  });

  test("a revoked invitation takes its link along", () => {
    const play = insider();
    play.want(WISH);
    play.tell({ type: "invitation.created", ref: "r1", invitation: INFO, link: "https://edge/#secret" });
    play.tell({ type: "invitation.gone", invitation_id: "i-1" });
    assert.deepEqual([play.state.invitations, play.state.fresh_invitation], [[], null]);
  });

  test("another link takes the place of the first, and the invitation keeps its place on the list", () => {
    const play = insider();
    const [first, second] = [INFO, { ...INFO, invitation_id: "i-2" }];
    for (const invitation of [first, second]) play.tell({ type: "invitation.changed", invitation });
    const asked = play.want({ event: "invitation.again", ref: "r2", invitation_id: "i-1" });
    assert.deepEqual(sent(asked), [{ type: "invitation.reissue", ref: "r2", invitation_id: "i-1" }]);
    const renewed = { ...INFO, redemptions_left: 2 };
    play.tell({ type: "invitation.created", ref: "r2", invitation: renewed, link: "https://edge/#other" });
    assert.deepEqual(play.state.invitations, [renewed, second]);
    assert.deepEqual(play.state.fresh_invitation, { invitation: renewed, link: "https://edge/#other", again: true });
  });

  test("a link that somebody else of the same person asked for is not shown here", () => {
    const play = insider();
    play.tell({ type: "invitation.created", ref: "r9", invitation: INFO, link: "https://edge/#secret" });
    assert.deepEqual([play.state.invitations, play.state.fresh_invitation], [[INFO], null]);
  });

  test("all who are shown waiting are let in by one frame", () => {
    const play = insider();
    const asked = sent(play.want({ event: "guest.admit_all", guests: ["g-grace", "g-gus"] }));
    assert.deepEqual(asked, [{ type: "lobby.admit_all", guests: ["g-grace", "g-gus"] }]);
  });

  test("how an invitation stands is said in words", () => {
    const words = (/** @type {object} */ more, now_ms = 0) => standing({ ...INFO, ...more }, now_ms).replace(/(since|until) .*?(;|$)/, "$1$2");
    assert.equal(words({ redemptions_left: 2, guests: 0 }), "unused, usable 2 times, until");
    assert.equal(words({ redemptions: 1, redemptions_left: 1, guests: 0 }), "unused, usable once, until");
    assert.equal(words({}), "used 1 of 2 times, until; 1 guest is in");
    assert.equal(words({ redemptions_left: 0, guests: 2 }), "used up, until; 2 guests are in");
    assert.equal(words({ redemptions_left: 0, guests: 0 }, 10_000), "over since");
  });

  test("who waits is announced once, and leaves the lobby when let in", () => {
    const play = insider([]);
    const frame = { type: "lobby.waiting", waiting: { guest: GRACE, invitation_id: "i-1" } };
    assert.deepEqual(spoken(play.tell(frame)), ["Grace is waiting in the lobby."]);
    assert.deepEqual(spoken(play.tell(frame)), []);
    assert.deepEqual(sent(play.want({ event: "guest.admit", guest: "g-grace" })), [
      { type: "lobby.admit", guest: "g-grace" },
    ]);
    play.tell({ type: "presence.changed", contact: GRACE });
    assert.deepEqual(play.state.lobby, []);
  });
});

describe("a guest", () => {
  test("waits in the lobby until the host lets them in", () => {
    const play = guest();
    assert.equal(play.state.visit.place, "lobby");
    play.tell({ type: "lobby.admitted", host: ALICE });
    assert.equal(play.state.visit.place, "inside");
    assert.equal(play.state.selected, "p-alice");
  });

  test("is inside at once after a reconnect", () => {
    assert.equal(guest(ALICE).state.visit.place, "inside");
  });

  test("who is refused does not come back by themselves", () => {
    const play = guest();
    play.tell({ type: "lobby.refused" });
    play.tell(error("SIGNED_OUT"));
    assert.deepEqual(play.want({ event: "link.lost", code: 4401 }), []);
    assert.equal(play.state.link, "ended");
    assert.match(play.state.farewell, /did not let you in/);
  });
});

describe("problems", () => {
  test("that belong to nothing else are listed, the oldest leaving, and can be dismissed", () => {
    const play = insider();
    for (let n = 0; n < 7; n += 1) play.tell(error("RATE_LIMITED"));
    assert.equal(play.state.problems.length, 5);
    play.want({ event: "problem.dismiss", key: play.state.problems[0].key });
    assert.equal(play.state.problems.length, 4);
    assert.equal(new Set(play.state.problems.map(({ key }) => key)).size, 4);
  });
});
