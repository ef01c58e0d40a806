/** <tg-admin-sign-in>: sign-in at the console, for one role. Fires `signed-in`. */

import { ROLES } from "../protocol/admin.js";
import { make } from "./markup.js";
import { SignIn } from "./tg-sign-in.js";

class AdminSignIn extends SignIn {
  #code = make("input", { id: "sign-in-code", name: "code", autocomplete: "one-time-code", inputmode: "numeric",
    spellcheck: "false", maxlength: 16 });
  #role = make("select", { id: "sign-in-role" },
    ...Object.entries(ROLES).map(([value, label]) => make("option", { value }, label)));

  heading() {
    return [make("h1", {}, "Turngate administration")];
  }

  further() {
    return [
      make("div", { class: "field" }, make("label", { for: "sign-in-code" }, "Code of your second factor"), this.#code),
      make("div", { class: "field" }, make("label", { for: "sign-in-role" }, "Role"), this.#role)];
  }

  answers() {
    const code = this.#code.value;
    this.#code.value = "";
    return { role: this.#role.value, code };
  }
}

customElements.define("tg-admin-sign-in", AdminSignIn);
export { AdminSignIn };
