// The list of a person's conversations: a column on wide screens, a drawer on small ones. It fetches
// its data from app/ui/history.py; only opening a conversation is an event of the page.

(() => {
  const OPEN = "studio-history";
  const PAGE = 50;
  const MOST = 200; // in one page, as the controller allows
  const SEARCH_AFTER_MS = 200;
  const wide = window.matchMedia("(width >= 1100px)");
  const remembered = () => {
    try { return localStorage.getItem(OPEN); } catch { return null; }
  };
  const remember = (value) => {
    try { localStorage.setItem(OPEN, value); } catch { /* a browser that keeps nothing */ }
  };
  const inAddress = () => new URL(window.location.href).searchParams.get("chat") ?? "";
  const addressOf = (id) => {
    const url = new URL(window.location.href);
    if (id) url.searchParams.set("chat", id);
    else url.searchParams.delete("chat");
    return url;
  };

  // A request of this person; its errors are sentences of the page's language.
  studio.request = async (method, path, { body, signal } = {}) => {
    const headers = { "X-Person-Id": studio.tab?.person ?? "" };
    if (body) headers["Content-Type"] = "application/json";
    let reply;
    try {
      reply = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error(say("history.no_reply"));
    }
    if (reply.ok) return reply;
    const told = await reply.text();
    let message = told;
    try { message = JSON.parse(told).message || told; } catch { /* a plain sentence */ }
    throw new Error(message);
  };

  const days = (date) => Math.round(new Date(date).setHours(0, 0, 0, 0) / 864e5);
  const groupOf = (entry) => {
    if (entry.pinned) return say("history.pinned");
    const age = days(Date.now()) - days(entry.updated_at);
    if (age < 1) return say("history.today");
    if (age < 2) return say("history.yesterday");
    if (age < 7) return say("history.week");
    if (age < 30) return say("history.month");
    return new Intl.DateTimeFormat(studio.locale, { month: "long", year: "numeric" })
      .format(new Date(entry.updated_at));
  };

  class History {
    constructor(element, trigger) {
      this.trigger = trigger;
      this.block = element.closest("#history") ?? element;
      this.aside = element.querySelector(".history");
      this.entries = [];
      this.rows = new Map(); // by id: { content, node }, so that what stays is not drawn anew
      this.build();
      this.show(wide.matches && remembered() !== "closed");
      this.aside.hidden = false;
      this.listen();
      if (studio.tab) this.follow(null);
    }

    build() {
      const { h } = studio;
      this.search = h("input", { type: "search", placeholder: say("history.search"),
        "aria-label": say("history.search"), autocomplete: "off" });
      this.said = h("p", { class: "history-said", role: "status" });
      this.list = h("div", { class: "history-list" });
      this.more = h("button", { type: "button", class: "history-more", hidden: true }, say("history.more"));
      this.menu = new studio.HistoryMenu(this);
      this.person = h("div", { class: "history-person", hidden: true });
      const close = h("button", { type: "button", class: "history-close",
        "aria-label": say("history.close"), title: say("history.close") }, studio.icon("close"));
      close.addEventListener("click", () => this.toggle());
      this.aside.append(
        h("header", {}, h("h2", {}, say("history.title")), close),
        h("label", { class: "history-search" }, studio.icon("search"), this.search),
        this.said, this.list, this.more, this.person, this.menu.element);
      this.shade = h("div", { class: "history-shade" });
      this.shade.addEventListener("click", () => this.show(false));
      this.aside.after(this.shade);
      this.opener = h("button", { type: "button", id: "history-toggle", "aria-label": say("history.open"),
        title: say("history.open") }, studio.icon("panel"));
      this.opener.addEventListener("click", () => this.toggle());
      studio.historyOpener?.append(this.opener);
    }

    listen() {
      let timer;
      this.search.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(() => this.refresh(), SEARCH_AFTER_MS);
      });
      this.more.addEventListener("click", () => this.load(true));
      // What comes into view of itself need not be asked for by a click.
      new IntersectionObserver(([seen]) => seen.isIntersecting && this.load(true), { root: this.aside })
        .observe(this.more);
      window.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !this.open || wide.matches || document.querySelector("dialog[open]")) return;
        if (this.menu.isOpen || event.target.matches?.(".history-rename")) return;
        event.stopPropagation();
        this.toggle();
      }, true);
      wide.addEventListener("change", () => this.show(wide.matches && remembered() !== "closed"));
      window.addEventListener("popstate", () => {
        const wanted = inAddress();
        if (wanted !== (studio.tab?.conversation ?? "")) this.trigger("select", { conversation_id: wanted });
      });
      // A new chat is a step that the back button takes back.
      window.addEventListener("click", (event) => {
        if (event.target.closest?.("#new") && inAddress()) window.history.pushState(null, "", addressOf(""));
      }, true);
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "visible" && studio.tab) this.refresh();
      });
    }

    toggle() {
      this.show(!this.open);
      if (wide.matches) remember(this.open ? "open" : "closed");
      (this.open ? this.aside.querySelector(wide.matches ? "input" : ".history-close") : this.opener)?.focus();
    }

    show(open) {
      this.open = open;
      document.documentElement.classList.toggle("history-beside", open && wide.matches);
      this.aside.classList.toggle("open", open);
      this.aside.inert = !open;
      this.opener.setAttribute("aria-expanded", String(open));
      // Under the drawer the page cannot be reached.
      for (const other of this.block.parentElement?.children ?? []) {
        if (other !== this.block) other.inert = open && !wide.matches;
      }
    }

    // --- the list ----------------------------------------------------------------------------------

    // The list anew, as far as it has been loaded.
    async refresh() {
      await this.load(false, Math.min(MOST, Math.max(PAGE, this.entries.length)));
    }

    async load(following, limit = PAGE) {
      if (following && (!this.next || this.loading)) return;
      this.loading?.abort();
      const mine = this.loading = new AbortController();
      const query = this.search.value.trim();
      const asked = new URLSearchParams({ q: query, limit });
      if (following) asked.set("after", this.next);
      try {
        const reply = await studio.request("GET", `conversations?${asked}`, { signal: mine.signal });
        const found = await reply.json();
        this.entries = following ? [...this.entries, ...found.conversations] : found.conversations;
        this.next = found.next;
        this.draw(query, found.total);
      } catch (error) {
        if (error.name !== "AbortError") this.tell(error.message);
      } finally {
        if (this.loading === mine) this.loading = null;
      }
    }

    draw(query, total) {
      const { h } = studio;
      const groups = new Map();
      for (const entry of this.entries) {
        const name = groupOf(entry);
        groups.set(name, [...groups.get(name) ?? [], this.row(entry)]);
      }
      const focused = this.list.contains(document.activeElement) && document.activeElement;
      this.list.replaceChildren(...[...groups].map(([name, rows]) =>
        h("section", { "aria-label": name }, h("h3", {}, name), h("ul", {}, rows))));
      if (!this.entries.length) {
        this.list.append(h("p", { class: "history-none" },
          query ? say("history.none_found", { query }) : say("history.none")));
      }
      if (focused?.isConnected) focused.focus({ preventScroll: true });
      this.more.hidden = !this.next;
      this.tell(query && total ? say("history.found", { total }) : "");
      this.mark();
    }

    tell(words) { this.said.textContent = words; }

    row(entry) {
      const content = JSON.stringify(entry);
      const known = this.rows.get(entry.id);
      if (known?.content === content) return known.node;
      const { h } = studio;
      const title = entry.title || say("history.untitled");
      const face = entry.thumbnail
        ? h("img", { src: `pictures/${entry.thumbnail}/thumbnail`, alt: "", loading: "lazy" })
        : h("span", { class: "history-face", "aria-hidden": "true" }, [...title][0]);
      const open = h("a", { class: "history-entry", href: addressOf(entry.id).href, title },
        face, h("span", { class: "history-name", dir: "auto" }, title));
      open.addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
        event.preventDefault();
        this.go(entry.id);
      });
      const more = h("button", { type: "button", class: "history-dots", "aria-haspopup": "menu",
        "aria-label": say("history.menu", { title }) }, "⋯");
      more.addEventListener("click", () => this.menu.openFor(entry, more));
      const node = h("li", { "data-id": entry.id }, open, more);
      this.rows.set(entry.id, { content, node });
      return node;
    }

    mark() {
      const here = studio.tab?.conversation;
      for (const row of this.list.querySelectorAll("li")) {
        const entry = row.querySelector(".history-entry");
        if (row.dataset.id === here) entry?.setAttribute("aria-current", "page");
        else entry?.removeAttribute("aria-current");
      }
    }

    // --- what a person does ------------------------------------------------------------------------

    go(id) {
      if (!wide.matches) this.show(false);
      if (id === (studio.tab?.conversation ?? "")) return;
      window.history.pushState(null, "", addressOf(id));
      this.trigger("select", { conversation_id: id });
    }

    async change(entry, wanted) {
      await this.trying(async () => {
        await studio.request("PATCH", `conversations/${entry.id}`, { body: wanted });
        await this.refresh();
      });
    }

    async delete(entry) {
      await this.trying(async () => {
        await studio.request("DELETE", `conversations/${entry.id}`);
        if (entry.id === studio.tab?.conversation) this.trigger("select", { conversation_id: "" });
        await this.refresh();
        this.search.focus();
      });
    }

    // Runs it; what goes wrong is said, and the list shows how things stand.
    async trying(act) {
      try {
        await act();
      } catch (error) {
        await this.refresh();
        this.tell(error.message);
      }
    }

    // A title is written where it stands: Enter and leaving the field keep it, Escape does not.
    rename(entry) {
      const row = this.rows.get(entry.id)?.node;
      const open = row?.querySelector(".history-entry");
      if (!open) return;
      const field = studio.h("input", { class: "history-rename", maxlength: 80, dir: "auto",
        "aria-label": say("history.rename") });
      field.value = entry.title;
      let done = false;
      const end = (keep) => {
        if (done) return;
        done = true;
        field.replaceWith(open);
        const title = field.value.trim();
        if (keep && title && title !== entry.title) this.change(entry, { title });
      };
      field.addEventListener("keydown", (event) => {
        if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
        event.preventDefault();
        end(event.key === "Enter");
        open.focus();
      });
      field.addEventListener("blur", () => end(true));
      open.replaceWith(field);
      field.select();
    }

    // Another conversation in the tab, or one more answer.
    follow(before) {
      if (!before) {
        this.trying(() => studio.showPerson(this.person));
        return void this.refresh();
      }
      this.mark();
      const of = ({ conversation, path }) => JSON.stringify([conversation, path]);
      if (of(before) !== of(studio.tab)) this.refresh();
    }
  }

  studio.mountHistory = (element, trigger) => { studio.history = new History(element, trigger); };
  studio.mountHistoryOpener = (element) => {
    studio.historyOpener = element;
    if (studio.history) element.append(studio.history.opener);
  };

  // What the tab remembers (app/ui/tab.py), as soon as the page has read it.
  studio.tabRead = (stored) => {
    const before = studio.tab;
    try { studio.tab = JSON.parse(stored || "null") ?? before; } catch { /* of another version */ }
    if (studio.tab) studio.history?.follow(before);
  };
  studio.tabChanged = (stored) => {
    studio.tabRead(stored);
    window.history.replaceState(window.history.state, "", addressOf(studio.tab?.conversation));
  };
})();
