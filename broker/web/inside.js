/**
 * The page for people inside: sign-in, then contacts, lobby, invitations, chat and calls.
 *
 * @import {SignIn} from "./elements/tg-sign-in.js"
 */

import { Client } from "./client.js";
import "./elements/tg-contacts.js";
import "./elements/tg-invitations.js";
import "./elements/tg-lobby.js";
import "./elements/tg-profile.js";
import "./elements/tg-sign-in.js";
import "./elements/tg-sign-ins.js";
import { get, post } from "./protocol/http.js";
import { handOut, part, titleFor } from "./workspace.js";

const client = new Client("signed_in");
const signIn = /** @type {SignIn} */ (part("tg-sign-in"));
let entered = false;

/** @param {string | null} farewell */
async function askToSignIn(farewell) {
  entered = false;
  part(".workspace").hidden = true;
  const me = await get("/api/me");
  if (me.ok && me.body["signed_in"] === true) return enter();
  const notice = me.ok ? String(me.body["notice"] ?? "") : "";
  part(".entry").hidden = false;
  signIn.open(notice, farewell ?? (me.ok ? null : me.sentence));
}

function enter() {
  entered = true;
  part(".entry").hidden = true;
  part(".workspace").hidden = false;
  client.connect();
}

async function signOut() {
  entered = false;
  await post("/api/sign-out", {});
  client.disconnect();
  await askToSignIn("You have signed out.");
}

function show() {
  const { state } = client;
  document.title = titleFor(state, "Turngate");
  part(".panes").dataset["pane"] = state.selected !== null || state.call?.phase === "ended" ? "talk" : "people";
  if (entered && state.signed_out) {
    const farewell = state.farewell;
    client.disconnect();
    void askToSignIn(farewell);
  }
}

// First the page makes room, then the elements show themselves and take the focus.
client.addEventListener("change", show);
handOut(client, ["tg-connection", "tg-profile", "tg-lobby", "tg-contacts", "tg-invitations", "tg-sign-ins", "tg-call", "tg-chat",
  "tg-ring", "tg-problems", "tg-program", "tg-stopped", "tg-announcer"]);
signIn.addEventListener("signed-in", enter);
part("tg-profile").addEventListener("sign-out", () => void signOut());
void askToSignIn(null);
