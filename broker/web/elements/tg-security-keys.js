/**
 * <tg-security-keys>: one's own security keys, another one, and the end of one.
 *
 * @import {OwnKey} from "../protocol/admin.js"
 */

import { moment, plain } from "../protocol/admin.js";
import { get, post } from "../protocol/http.js";
import { AdminPage, field } from "./admin-page.js";
import { button, make, setText, showList } from "./markup.js";
import { canUseKeys, makeKey } from "./security-key.js";

const WHAT = "A security key signs you in at this page and at none that only looks like it.";
const NO_HOST_NAME = "Security keys need a page with a host name; this one is reached by an address.";
const NO_BROWSER = "This browser cannot use security keys here.";

class SecurityKeys extends AdminPage {
  #list = make("ul", { class: "plain", "aria-label": "Your security keys" });
  #told = make("p", { class: "soft", role: "status" });
  #failed = make("div", { role: "alert" });
  #name = make("input", { id: "security-key-name", required: true, maxlength: 64, autocomplete: "off" });
  #add = make("button", { type: "submit" }, "Add a security key");
  #form = make("form", { class: "line", hidden: true, onsubmit: (event) => void this.#make(event) },
    field(this.#name, "Name of the new key"), this.#add);
  /** @type {string | null} */
  #asked = null;

  build() {
    this.#asked = null;
    this.#name.value = "";
    for (const shown of [this.#list, this.#told, this.#failed]) shown.replaceChildren();
    this.append(make("h2", {}, "Your security keys"), make("p", { class: "soft" }, WHAT), this.#list, this.#told, this.#form,
      this.#failed);
    void this.#refresh();
  }

  async #refresh() {
    const body = this.bodyOf(await get("/api/security-keys"));
    if (body === null) return;
    const keys = /** @type {OwnKey[]} */ (body["keys"]);
    const hindered = body["offered"] !== true ? NO_HOST_NAME : canUseKeys() ? "" : NO_BROWSER;
    showList(this.#list, keys, ({ credential_id }) => credential_id, (key) => this.#row(key));
    this.#form.hidden = hindered !== "" || keys.length >= Number(body["most"]);
    setText(this.#told, hindered !== "" ? hindered : keys.length === 0 ? "You have none." : "");
  }

  /** @param {OwnKey} key */
  #row({ credential_id, name, enrolled_at, used_at }) {
    const use = used_at === null ? "not used yet" : `last used ${moment(used_at * 1000)}`;
    return make("li", {},
      make("span", { class: "who" },
        make("bdi", { class: "name" }, plain(name)),
        make("span", { class: "soft" }, `added ${moment(enrolled_at * 1000)}, ${use}`)),
      make("span", { class: "actions" }, ...this.#removing(credential_id, plain(name))));
  }

  /**
   * @param {string} credential_id
   * @param {string} name
   */
  #removing(credential_id, name) {
    if (this.#asked !== credential_id) {
      return [button("Remove", () => this.#ask(credential_id), { class: "small", "aria-label": `Remove the key ${name}` })];
    }
    return [
      button("Remove it now", () => void this.#remove(credential_id),
        { class: "small danger", "aria-label": `Remove the key ${name} now` }),
      button("Keep", () => this.#ask(null), { class: "small" }),
    ];
  }

  /** @param {string | null} credential_id */
  #ask(credential_id) {
    this.#asked = credential_id;
    void this.#refresh();
  }

  /** @param {SubmitEvent} event */
  async #make(event) {
    event.preventDefault();
    this.#add.disabled = true;
    const begun = this.bodyOf(await post("/api/security-keys/begin", {}), this.#failed);
    const key = begun === null ? null : await makeKey(begun["options"]);
    this.#add.disabled = false;
    if (begun !== null && key === null) this.#failed.replaceChildren(make("p", {}, "No security key was added."));
    if (key === null) return;
    const added = this.bodyOf(await post("/api/security-keys/finish", { name: this.#name.value, key }), this.#failed);
    if (added !== null) this.#name.value = "";
    await this.#refresh();
  }

  /** @param {string} credential_id */
  async #remove(credential_id) {
    this.#asked = null;
    this.bodyOf(await post("/api/security-keys/remove", { credential_id }), this.#failed);
    await this.#refresh();
  }
}

customElements.define("tg-security-keys", SecurityKeys);
