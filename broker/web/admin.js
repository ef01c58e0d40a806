/**
 * The console: sign-in for one role, then the pages of that role.
 *
 * @import {AdminSignIn} from "./elements/tg-admin-sign-in.js"
 * @import {AdminPage} from "./elements/admin-page.js"
 * @import {Role} from "./protocol/admin.js"
 * @import {Stop} from "./protocol/emergency.js"
 */

import "./elements/tg-admin-sign-in.js";
import "./elements/tg-alarms.js";
import "./elements/tg-bandwidth.js";
import "./elements/tg-emergency.js";
import "./elements/tg-explain.js";
import "./elements/tg-policy.js";
import "./elements/tg-replay.js";
import "./elements/tg-security-keys.js";
import "./elements/tg-sessions.js";
import { setText } from "./elements/markup.js";
import { PAGES, plain, ROLES } from "./protocol/admin.js";
import { bannerWords } from "./protocol/emergency.js";
import { get, post } from "./protocol/http.js";
import { part } from "./workspace.js";

const signIn = /** @type {AdminSignIn} */ (part("tg-admin-sign-in"));
const pages = ["tg-alarms", "tg-emergency", "tg-sessions", "tg-bandwidth", "tg-policy", "tg-explain", "tg-replay",
  "tg-security-keys"]
  .map((name) => /** @type {AdminPage} */ (part(name)));

/** @param {string | null} farewell */
async function enter(farewell) {
  const me = await get("/api/me");
  const signedIn = me.ok && me.body["signed_in"] === true;
  const role = signedIn ? /** @type {Role} */ (me.body["role"]) : null;
  part(".desk").hidden = role === null;
  part(".entry").hidden = role !== null;
  warn([]);
  const login = me.ok ? String(me.body["login"] ?? "") : "";
  for (const page of pages) page.open(role !== null && PAGES[role].includes(page.localName) ? role : null, login);
  if (role !== null) {
    part(".who").textContent = `${plain(login)}, ${ROLES[role].toLowerCase()}`;
  } else {
    signIn.offerKeys(me.ok && me.body["security_keys"] === true);
    signIn.open(me.ok ? String(me.body["notice"] ?? "") : "", farewell ?? (me.ok ? null : me.sentence));
  }
}

/** @param {Stop[]} stops */
function warn(stops) {
  const words = bannerWords(stops);
  part(".banner").hidden = words === "";
  setText(part(".banner"), words);
}

async function signOut() {
  await post("/api/sign-out", {});
  await enter("You have signed out.");
}

signIn.addEventListener("signed-in", () => void enter(null));
part(".sign-out").addEventListener("click", () => void signOut());
part(".pages").addEventListener("stops", (event) => warn(/** @type {CustomEvent<Stop[]>} */ (event).detail));
part(".pages").addEventListener("signed-out", () => void enter("Your sign-in is over."));
void enter(null);
