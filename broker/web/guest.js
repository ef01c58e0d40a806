/**
 * The page for guests: notice, devices, lobby, then chat and calls with the host. The invitation's secret is taken out of
 * the address bar at once and kept in memory only.
 *
 * @import {Devices} from "./elements/tg-devices.js"
 * @import {GuestJoin} from "./elements/tg-guest-join.js"
 */

import { Client } from "./client.js";
import "./elements/tg-devices.js";
import "./elements/tg-guest-join.js";
import "./elements/tg-waiting.js";
import { get, post } from "./protocol/http.js";
import { handOut, part, titleFor } from "./workspace.js";

const NO_INVITATION = "This address holds no invitation. Open the whole link you were given, or ask for a new one.";

const client = new Client("joined");
const join = /** @type {GuestJoin} */ (part("tg-guest-join"));
const devices = /** @type {Devices} */ (part("tg-devices"));
let invitation = takeInvitation();
let name = "";
let joined = false;
let present = false;

function takeInvitation() {
  const secret = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  return secret;
}

async function begin() {
  const me = await get("/api/me");
  if (!me.ok) return sayFarewell(me.sentence);
  joined = me.body["joined"] === true;
  if (joined) return chooseDevices();
  if (invitation === "") return sayFarewell(NO_INVITATION);
  const notice = await get("/api/notice");
  if (!notice.ok) return sayFarewell(notice.sentence);
  join.open(String(notice.body["notice"] ?? ""), String(notice.body["contact"] ?? ""));
}

function chooseDevices() {
  join.hidden = true;
  devices.hidden = false;
  devices.begin();
}

async function enter() {
  client.wish = devices.wish;
  if (!joined) {
    const answer = await post("/api/redeem", { invitation, name, notice_acknowledged: true });
    if (!answer.ok) {
      devices.hidden = true;
      return join.refuse(answer);
    }
    joined = true;
    invitation = "";
  }
  present = true;
  part(".entry").hidden = true;
  part(".workspace").hidden = false;
  client.connect();
}

async function leave() {
  present = false;
  await post("/api/leave", {});
  client.disconnect();
  sayFarewell("You have left. Use your invitation again if it is still valid, or ask for a new one.");
}

/** @param {string} sentence */
function sayFarewell(sentence) {
  part(".workspace").hidden = true;
  join.hidden = true;
  devices.hidden = true;
  part(".entry").hidden = false;
  part(".farewell").hidden = false;
  part(".farewell p").textContent = sentence;
  part(".farewell h1").focus();
}

function show() {
  const { state } = client;
  document.title = titleFor(state, "Turngate: guest");
  const inside = state.visit?.place === "inside";
  part(".waiting").hidden = inside;
  part(".talk").hidden = !inside;
  if (present && state.link === "ended" && state.program?.standing !== "refused") {
    present = false;
    const farewell = state.farewell ?? "Your visit has ended.";
    client.disconnect();
    sayFarewell(farewell);
  }
}

// First the page makes room, then the elements show themselves and take the focus.
client.addEventListener("change", show);
handOut(client, ["tg-connection", "tg-waiting", "tg-call", "tg-chat", "tg-ring", "tg-problems", "tg-program",
  "tg-stopped", "tg-announcer"]);
join.addEventListener("acknowledged", (event) => {
  name = /** @type {CustomEvent<string>} */ (event).detail;
  chooseDevices();
});
devices.addEventListener("settled", () => void enter());
part(".leave").addEventListener("click", () => void leave());
void begin();
