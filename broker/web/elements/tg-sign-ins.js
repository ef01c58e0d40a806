/**
 * <tg-sign-ins>: where one is signed in, and the end of it elsewhere. Asked for when it is opened.
 *
 * @import {SignInInfo} from "../protocol/frames.js"
 * @import {Session} from "../protocol/state.js"
 */

import { programWords } from "../protocol/sign-ins.js";
import { ClientElement } from "./client-element.js";
import { button, make, showList } from "./markup.js";

class SignIns extends ClientElement {
  #list = make("ul", { class: "plain" });
  #others = button("End all others", () => this.#ask({ event: "sign_ins.end_others", ref: crypto.randomUUID() }));
  #details = make("details", { ontoggle: () => this.#opened() },
    make("summary", {}, make("h2", {}, "Where you are signed in")),
    this.#list,
    this.#others);

  build() {
    this.append(this.#details);
  }

  /** @param {Session} state */
  show(state) {
    this.#others.hidden = state.sign_ins.length < 2;
    this.#others.disabled = state.link !== "online";
    showList(this.#list, state.sign_ins, ({ sign_in_id }) => sign_in_id, (info) => this.#row(info));
  }

  #opened() {
    if (this.#details.open) this.#ask({ event: "sign_ins.ask", ref: crypto.randomUUID() });
  }

  /** @param {SignInInfo} info */
  #row({ sign_in_id, network, program, began_at, used_at, in_use, this_one }) {
    const end = () => this.#ask({ event: "sign_ins.end", ref: crypto.randomUUID(), sign_in_id });
    const badge = this_one ? make("span", { class: "badge" }, "This one") : null;
    const ending = this_one ? null : button("End", end, { class: "small", "aria-label": `End the sign-in from ${network}` });
    const use = in_use ? ", in use now" : program === "" ? "" : `, last used ${moment(used_at)}`;
    return make("li", {},
      make("span", { class: "who" },
        make("span", {}, make("bdi", { class: "name" }, programWords(program)), badge),
        make("span", { class: "soft" }, `from ${network} since ${moment(began_at)}${use}`)),
      ending,
    );
  }

  /** @param {import("../protocol/state.js").Event} event */
  #ask(event) {
    if (this.client.state.link === "online") this.client.dispatch(event);
  }
}

/** @param {number} unix_seconds */
function moment(unix_seconds) {
  return new Date(unix_seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

customElements.define("tg-sign-ins", SignIns);
