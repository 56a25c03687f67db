// The conversation: questions with their pictures, answers with what can be done about them, and
// the branches of both. app/ui/elements.py gives it its data; what a person does goes back as events.

(() => {
  const THUMBS = ["up", "down", "flag"];

  // An element with attributes and children; texts are never read as HTML.
  const h = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child != null && child !== false));
    return element;
  };
  const button = (act, label, icon, attributes = {}) =>
    h("button", { type: "button", "data-act": act, "aria-label": label, title: label, ...attributes },
      icon.length > 1 ? studio.icon(icon) : icon);

  studio.h = h;
  // A dialog that was closed goes, and gives the focus back. The event comes late: whoever has gone
  // on to something else keeps it.
  studio.goesWhenClosed = (dialog, opener) => dialog.addEventListener("close", () => {
    dialog.remove();
    const former = typeof opener === "function" ? opener() : opener;
    if (former?.isConnected && document.activeElement === document.body) former.focus();
  });
  // Browsers lend the clipboard over HTTPS and on loopback only; elsewhere there is the old way.
  const copyOld = (text, where) => {
    const field = h("textarea", { style: "position: fixed; opacity: 0" });
    field.value = text;
    where.parentElement.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  };
  studio.copy = async (text, where) => {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyOld(text, where);
    where.classList.add("copied");
    setTimeout(() => where.classList.remove("copied"), 1500);
  };

  const note = (message) => {
    switch (message.finish) {
      case "unfinished": return say("answer.unfinished");
      case "cancelled": return say("answer.stopped");
      case "length": return say("answer.at_limit");
      case "error":
        if (message.error === "worker_lost") return say("answer.worker_lost");
        if (message.error === "out_of_memory") return say("answer.out_of_memory");
        return say("answer.broke_off");
      default: return message.text.trim() || message.finish === "writing" ? "" : say("answer.nothing");
    }
  };

  const walker = (message, kind) => {
    const { siblings = [], id } = message;
    if (siblings.length < 2) return null;
    const at = siblings.indexOf(id);
    const say_ = (key) => say(key, { position: at + 1, total: siblings.length });
    const arrow = (act, to, label, face) =>
      button(act, label, face, { "data-to": siblings[to], "data-kind": kind, disabled: !siblings[to] });
    return h("span", { class: "walker", role: "group", "aria-label": say(`branch.${kind}`) },
      arrow("walk", at - 1, say("branch.former"), "‹"),
      h("span", { class: "position", role: "status", "aria-label": say_(`branch.${kind}_position`) },
        `${at + 1}/${siblings.length}`),
      arrow("walk", at + 1, say("branch.next"), "›"));
  };

  const pictures = (message) => {
    const urls = message.pictures ?? [];
    if (!urls.length) return null;
    return h("div", { class: "pictures" }, urls.map((url, at) => {
      const label = say("picture.open", { number: at + 1 });
      return h("button", { type: "button", class: "picture", "data-act": "enlarge", "data-at": at,
        "aria-label": label, title: label },
        h("img", { src: url, alt: say("picture.name", { number: at + 1 }), loading: "lazy" }));
    }));
  };

  const questionOf = (message) => h("article",
    { class: "question", "data-testid": "user", "aria-label": say("chat.you") },
    pictures(message),
    h("div", { class: "bubble", dir: "auto" }, message.text),
    h("div", { class: "acts" },
      walker(message, "question"),
      message.id && button("edit", say("question.edit"), "edit"),
      button("copy", say("answer.copy"), "copy")));

  const thumb = (message, value) => {
    const pressed = message.rating === value;
    const label = say(pressed ? `answer.${value}_pressed` : `answer.${value}`);
    return button("rate", label, value, { "data-value": value, "aria-pressed": String(pressed) });
  };

  const retry = (models) => h("span", { class: "retry" },
    button("retry", say("answer.retry"), "retry"),
    models.length > 1 && h("details", { class: "menu" },
      h("summary", { "aria-label": say("answer.retry_with"), title: say("answer.retry_with") }, studio.icon("down_arrow")),
      h("div", { class: "choices", role: "group", "aria-label": say("answer.retry_with") },
        models.map((model) => h("button", { type: "button", "data-act": "retry", "data-model": model }, model)))));

  const answerOf = (message, { models, seen, last }) => {
    const writing = message.finish === "writing";
    const body = h("div", { class: "body", "data-testid": "bot", dir: "auto" });
    const said = note(message);
    const element = h("article", { class: "answer", "aria-label": message.model || say("chat.model"),
      "aria-busy": String(writing) },
      h("header", { class: "by" }, message.model ?? ""),
      body,
      writing && h("p", { class: "thinking", role: "status" },
        h("span", { class: "dots", "aria-hidden": "true" }), h("span", { class: "place" })),
      said && h("p", { class: "note" }, said, message.finish === "error" &&
        h("button", { type: "button", class: "again", "data-act": "retry" }, say("answer.continue"))),
      !writing && h("div", { class: "acts" },
        walker(message, "answer"),
        button("copy", say("answer.copy"), "copy"),
        retry(models),
        seen && message.text.trim() && button("look", say("look.open"), "eye", { "aria-expanded": "false" }),
        THUMBS.map((value) => thumb(message, value)),
        last && button("undo", say("answer.undo"), "undo")));
    if (writing) studio.writer = new studio.Writer(body);
    else studio.markdown(body, message.text);
    return element;
  };

  const welcome = (examples) => h("div", { class: "welcome" },
    h("h2", {}, say("chat.welcome")),
    h("p", {}, say("chat.welcome_more")),
    h("div", { class: "examples" }, examples.map((example, at) =>
      h("button", { type: "button", class: "example", "data-act": "example", "data-at": at,
        "aria-label": say("chat.example", { number: at + 1, question: example.question }) },
        h("img", { src: example.picture, alt: "" }),
        h("span", {}, example.question)))));

  // Editing in place: the words in a field, and the pictures with a cross each.
  const editor = (message) => {
    const field = h("textarea", { rows: 3, "aria-label": say("question.edit"), dir: "auto" });
    field.value = message.text;
    const kept = (message.pictures ?? []).map((url, at) => h("span", { class: "kept", "data-at": at },
      h("img", { src: url, alt: say("picture.name", { number: at + 1 }) }),
      button("drop-picture", say("picture.remove", { number: at + 1 }), "×")));
    return h("form", { class: "editor" },
      h("div", { class: "pictures" }, kept), field,
      h("div", { class: "acts" },
        h("button", { type: "button", "data-act": "cancel-edit" }, say("question.cancel")),
        h("button", { type: "submit", class: "primary" }, say("question.ask_again"))));
  };

  const keyOf = (message) => `${message.role} ${message.id || message.finish || message.text}`;

  class Conversation {
    constructor(element, trigger, props) {
      this.element = element.querySelector(".turns");
      this.trigger = trigger;
      this.props = props;
      this.shown = []; // [{ key, content, node }] in order
      this.models = [];
      this.element.addEventListener("click", (event) => this.clicked(event));
      this.element.addEventListener("submit", (event) => this.submitted(event));
      this.element.addEventListener("keydown", (event) => this.typed(event));
      this.element.addEventListener("scroll", () => { this.follows = this.atEnd(); });
      this.follows = true;
      new ResizeObserver(() => this.resized()).observe(this.element);
    }

    get messages() { return JSON.parse(this.props.value || "[]"); }

    atEnd() {
      const { scrollHeight, scrollTop, clientHeight } = this.element;
      return scrollHeight - scrollTop - clientHeight < 80;
    }

    // What stood above the lower edge stays there, when something opens below it or is closed.
    resized() {
      const { clientHeight } = this.element;
      if (!this.follows && this.height) this.element.scrollTop += this.height - clientHeight;
      this.height = clientHeight;
      this.toEnd();
    }

    toEnd() { if (this.follows && this.shown.length) this.element.scrollTop = this.element.scrollHeight; }

    // Draw what has changed, and leave the rest as it is: pictures do not flicker, places stay.
    render() {
      const messages = this.messages;
      if (!messages.length) {
        this.shown = [];
        this.element.replaceChildren(welcome(this.props.examples ?? []));
        this.element.scrollTop = 0;
        return;
      }
      this.element.querySelector(".welcome")?.remove();
      let seen = false;
      const next = messages.map((message, at) => {
        seen ||= Boolean(message.pictures?.length);
        const around = { models: this.models, seen, last: at === messages.length - 1 };
        const key = keyOf(message);
        const content = JSON.stringify([message, around]);
        const old = this.shown.find((each) => each.key === key && each.content === content);
        if (old) return old;
        const node = message.role === "user" ? questionOf(message) : answerOf(message, around);
        return { key, content, node, message };
      });
      const grown = next.length > this.shown.length;
      // What was written so far is the answer's before, where another one begins.
      const begun = (messages) => messages.findIndex(({ message }) => message.finish === "writing");
      if (begun(next) >= 0 && begun(next) !== begun(this.shown)) studio.written = "";
      next.forEach(({ node }, at) => {
        if (this.element.children[at] !== node) this.element.insertBefore(node, this.element.children[at] ?? null);
      });
      while (this.element.children.length > next.length) this.element.lastElementChild.remove();
      this.shown = next;
      if (grown) this.follows = true;
      this.toEnd();
      if (studio.written) this.write(studio.written);
    }

    write(text) {
      studio.writer?.write(text);
      if (text) this.element.querySelector(".thinking")?.remove();
      this.toEnd();
    }

    at(target) { return this.shown.find(({ node }) => node.contains(target)); }

    clicked(event) {
      const target = event.target.closest("[data-act]");
      if (!target || target.disabled) return;
      const { act, to, kind, value, model, at } = target.dataset;
      const here = this.at(target);
      const message = here?.message;
      target.closest("details")?.removeAttribute("open");
      switch (act) {
        case "example": this.trigger("example_select", { index: Number(at) }); break;
        case "walk": this.trigger("select", { [`${kind}_id`]: to }); break;
        case "retry": this.trigger("retry", { answer_id: message.id, model: model ?? null }); break;
        case "rate": this.trigger("like", { answer_id: message.id, value }); break;
        case "undo": this.trigger("undo", {}); break;
        case "copy": studio.copy(message.text, target); break;
        case "look": studio.look(this, here, target); break;
        case "enlarge": studio.enlarge(message.pictures, Number(at), target, this.modelAfter(here)); break;
        case "edit": this.edit(here); break;
        case "cancel-edit": this.endEdit(here); break;
        case "drop-picture": target.closest(".kept").remove(); break;
        default: break;
      }
    }

    // The model that answered a question.
    modelAfter(here) {
      return this.shown[this.shown.indexOf(here) + 1]?.message.model;
    }

    // The pictures before an answer, in the order in which the model was given them.
    picturesBefore(here) {
      const before = this.shown.slice(0, this.shown.indexOf(here));
      return before.flatMap(({ message }) => message.pictures ?? []);
    }

    edit(here) {
      if (here.node.querySelector(".editor")) return;
      here.node.classList.add("editing");
      here.node.append(editor(here.message));
      here.node.querySelector("textarea").focus();
    }

    endEdit(here) {
      here.node.classList.remove("editing");
      here.node.querySelector(".editor").remove();
      here.node.querySelector("[data-act=edit]")?.focus();
    }

    submitted(event) {
      event.preventDefault();
      const here = this.at(event.target);
      const text = event.target.querySelector("textarea").value;
      const kept = [...event.target.querySelectorAll(".kept")].map((each) => Number(each.dataset.at));
      this.endEdit(here);
      this.trigger("edit", { question_id: here.message.id, text, pictures: kept });
    }

    typed(event) {
      const form = event.target.closest(".editor");
      if (form && event.key === "Escape") this.endEdit(this.at(form));
      if (form && event.key === "Enter" && !event.shiftKey && !event.isComposing &&
          event.target.tagName === "TEXTAREA") {
        event.preventDefault();
        form.requestSubmit();
      }
    }
  }

  studio.mountConversation = (element, trigger, props, watch) => {
    const conversation = new Conversation(element, trigger, props);
    studio.conversation = conversation;
    watch("value", () => conversation.render());
    conversation.render();
  };
  studio.mountPen = (props, watch) => {
    watch("value", () => {
      studio.written = (props.value ?? "").replaceAll("\ue000", "<");
      studio.conversation?.write(studio.written);
    });
  };
  studio.mountPlace = (props, watch) => {
    watch("value", () => {
      const place = studio.conversation?.element.querySelector(".thinking .place");
      if (place) place.textContent = props.value ?? "";
    });
  };
  studio.mountModels = (props, watch) => {
    const take = () => {
      const { conversation } = studio;
      if (!conversation) return;
      conversation.models = JSON.parse(props.value || "[]");
      conversation.render();
    };
    watch("value", take);
    take();
  };
})();
