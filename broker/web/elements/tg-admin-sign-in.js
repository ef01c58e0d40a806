/** <tg-admin-sign-in>: sign-in at the console, for one role, with a code or a security key. Fires `signed-in`. */

import { ROLES } from "../protocol/admin.js";
import { post } from "../protocol/http.js";
import { field } from "./admin-page.js";
import { make } from "./markup.js";
import { canUseKeys, useKey } from "./security-key.js";
import { SignIn } from "./tg-sign-in.js";

class AdminSignIn extends SignIn {
  #factor = make("select", { id: "sign-in-factor", onchange: () => this.#showFactor() },
    make("option", { value: "code" }, "Authenticator app"), make("option", { value: "key" }, "Security key"));
  #factorField = field(this.#factor, "Second factor");
  #code = make("input", { id: "sign-in-code", name: "code", autocomplete: "one-time-code", inputmode: "numeric",
    spellcheck: "false", maxlength: 16 });
  #codeField = field(this.#code, "Code of your second factor");
  #role = make("select", { id: "sign-in-role" },
    ...Object.entries(ROLES).map(([value, label]) => make("option", { value }, label)));

  heading() {
    return [make("h1", {}, "Turngate administration")];
  }

  further() {
    return [this.#factorField, this.#codeField, field(this.#role, "Role")];
  }

  /** @param {boolean} offered whether this edge takes security keys */
  offerKeys(offered) {
    this.#factorField.hidden = !(offered && canUseKeys());
    if (this.#factorField.hidden) this.#factor.value = "code";
    this.#showFactor();
  }

  #showFactor() {
    this.#codeField.hidden = this.#factor.value === "key";
  }

  async answers() {
    const role = this.#role.value;
    if (this.#factor.value === "key") {
      const asked = await post("/api/sign-in/challenge", {});
      if (!asked.ok) return asked.sentence;
      const key = await useKey(asked.body["options"]);
      return key === null ? "No security key was used." : { role, key };
    }
    const code = this.#code.value;
    this.#code.value = "";
    return { role, code };
  }
}

customElements.define("tg-admin-sign-in", AdminSignIn);
export { AdminSignIn };
