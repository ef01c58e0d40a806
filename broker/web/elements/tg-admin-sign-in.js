/** <tg-admin-sign-in>: sign-in at the console, for one role. Fires `signed-in`. */

import { ROLES } from "../protocol/admin.js";
import { make } from "./markup.js";
import { SignIn } from "./tg-sign-in.js";

class AdminSignIn extends SignIn {
  #role = make("select", { id: "sign-in-role" },
    ...Object.entries(ROLES).map(([value, label]) => make("option", { value }, label)));

  heading() {
    return [make("h1", {}, "Turngate administration")];
  }

  further() {
    return [make("div", { class: "field" }, make("label", { for: "sign-in-role" }, "Role"), this.#role)];
  }

  answers() {
    return { role: this.#role.value };
  }
}

customElements.define("tg-admin-sign-in", AdminSignIn);
export { AdminSignIn };
