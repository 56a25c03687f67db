// What can be done with a conversation of the list: the menu beside it, and its dialogs.

(() => {
  const button = (words, act, kind = "") => {
    const made = studio.h("button", { type: "button", class: kind }, words);
    made.addEventListener("click", () => act(made));
    return made;
  };

  // A dialog in the middle; it closes by Escape, by a click beside it, and by its buttons.
  studio.sheet = (title, ...children) => {
    const heading = studio.h("h2", { id: "sheet-title" }, title);
    const made = studio.h("dialog", { class: "sheet", "aria-labelledby": "sheet-title" }, heading, ...children);
    made.addEventListener("click", (event) => event.target === made && made.close());
    studio.goesWhenClosed(made, document.activeElement);
    document.body.append(made);
    made.showModal();
    return made;
  };

  const save = async (entry, format) => {
    const reply = await studio.request("GET", `conversations/${entry.id}/export?format=${format}`);
    const named = reply.headers.get("content-disposition")?.match(/filename\*=UTF-8''(\S+)/)?.[1];
    const url = URL.createObjectURL(await reply.blob());
    studio.h("a", { href: url, download: decodeURIComponent(named ?? "conversation") }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  const confirmDelete = (history, entry) => {
    const box = studio.sheet(say("history.delete_title"),
      studio.h("p", {}, say("history.delete_really", { title: entry.title })),
      studio.h("div", { class: "sheet-acts" },
        button(say("question.cancel"), () => box.close()),
        button(say("history.delete"), (pressed) => {
          pressed.disabled = true;
          box.close();
          history.delete(entry);
        }, "danger")));
    box.querySelector("button").focus();
  };

  // --- links that others can read ------------------------------------------------------------------

  const linkTo = (token) =>
    new URL(`${studio.language === "en" ? "./" : "../"}shared/${token}`, document.baseURI).href;

  class Sharing {
    constructor(entry) {
      const { h } = studio;
      this.path = `conversations/${entry.id}/shares`;
      this.links = h("ul", { class: "sheet-links" });
      this.said = h("p", { class: "sheet-said", role: "status" });
      this.box = studio.sheet(say("share.title", { title: entry.title }),
        h("p", {}, say("share.what")), this.links, this.said,
        h("div", { class: "sheet-acts" },
          button(say("picture.close"), () => this.box.close()),
          button(say("share.make"), (pressed) => this.make(pressed), "primary")));
      this.trying(() => this.show());
    }

    async show() {
      const { shares } = await (await studio.request("GET", this.path)).json();
      this.links.replaceChildren(...shares.map((link) => this.line(link)));
      this.said.textContent = shares.length ? "" : say("share.none");
    }

    line({ token, created_at: made }) {
      const { h } = studio;
      const when = new Date(made).toLocaleString(studio.locale, { dateStyle: "medium", timeStyle: "short" });
      const field = h("input", { readonly: true, value: linkTo(token), "aria-label": say("share.link") });
      field.addEventListener("focus", () => field.select());
      return h("li", {}, field,
        h("span", { class: "sheet-when" }, say("share.made", { when })),
        h("a", { href: linkTo(token), target: "_blank", rel: "noopener" }, say("share.open")),
        button(say("answer.copy"), (pressed) => this.copy(field, pressed)),
        button(say("share.revoke"), () => this.revoke(token), "danger"));
    }

    async copy(field, pressed) {
      await this.trying(async () => {
        await studio.copy(field.value, pressed);
        this.said.textContent = say("share.copied");
      });
    }

    async make(pressed) {
      pressed.disabled = true;
      await this.trying(async () => {
        await studio.request("POST", this.path);
        await this.show();
        this.links.querySelector("input")?.focus();
      });
      pressed.disabled = false;
    }

    async revoke(token) {
      await this.trying(async () => {
        await studio.request("DELETE", `${this.path}/${token}`);
        await this.show();
        this.said.textContent = say("share.revoked");
      });
    }

    async trying(act) {
      try { await act(); } catch (error) { this.said.textContent = error.message; }
    }
  }

  // --- who one is ----------------------------------------------------------------------------------

  // Nothing on one's own machine, where nobody is asked who they are.
  studio.showPerson = async (place) => {
    const { h } = studio;
    const { name, access, consent } = await (await studio.request("GET", "me")).json();
    if (access === "local") return;
    const box = h("input", { type: "checkbox" });
    box.checked = consent.allowed;
    const said = h("span", { role: "alert" });
    box.addEventListener("change", async () => {
      said.textContent = "";
      try {
        await studio.request("POST", "me/consent", { body: { allowed: box.checked } });
      } catch (error) {
        box.checked = !box.checked;
        said.textContent = error.message;
      }
    });
    const leave = h("form", { method: "post", action: `${studio.language === "en" ? "./" : "../"}logout` },
      h("button", { type: "submit" }, say("history.log_out")));
    place.replaceChildren(
      ...(name ? [h("b", { title: name }, name)] : []),
      ...(access === "login" ? [leave] : []),
      h("label", {}, box, h("span", {}, say("history.consent"))), said);
    place.hidden = false;
  };

  // --- the menu ------------------------------------------------------------------------------------

  studio.HistoryMenu = class {
    constructor(history) {
      this.history = history;
      this.element = studio.h("div", { class: "history-menu", role: "menu", popover: "auto" });
      this.element.addEventListener("keydown", (event) => this.walk(event));
    }

    get isOpen() { return this.element.matches(":popover-open"); }

    openFor(entry, opener) {
      const { history } = this;
      const items = [
        [entry.pinned ? "unpin" : "pin", "pin", () => history.change(entry, { pinned: !entry.pinned })],
        ["rename", "edit", () => history.rename(entry)],
        ["share", "share", () => new Sharing(entry)],
        ["save_markdown", "save", () => history.trying(() => save(entry, "markdown"))],
        ["save_json", "save", () => history.trying(() => save(entry, "json"))],
        ["save_llava", "save", () => history.trying(() => save(entry, "llava"))],
        ["delete", "trash", () => confirmDelete(history, entry)],
      ];
      this.element.setAttribute("aria-label", opener.getAttribute("aria-label"));
      this.element.replaceChildren(...items.map(([key, icon, act]) => {
        const made = studio.h("button", { type: "button", role: "menuitem", tabindex: -1, class: key },
          studio.icon(icon), say(`history.${key}`));
        made.addEventListener("click", () => {
          this.element.hidePopover();
          opener.focus();
          act();
        });
        return made;
      }));
      this.element.showPopover();
      this.place(opener);
      this.element.firstElementChild.focus();
    }

    // Beside its button, and wholly on the screen.
    place(opener) {
      const at = opener.getBoundingClientRect();
      const { offsetWidth, offsetHeight } = this.element;
      const left = Math.min(at.left, window.innerWidth - offsetWidth - 8);
      const top = Math.min(at.bottom + 4, window.innerHeight - offsetHeight - 8);
      Object.assign(this.element.style, { left: `${Math.max(8, left)}px`, top: `${Math.max(8, top)}px` });
    }

    walk(event) {
      const items = [...this.element.children];
      const at = items.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
      if (event.key === "Tab") this.element.hidePopover();
      if (to === undefined) return;
      event.preventDefault();
      items[to % items.length].focus();
    }
  };
})();
