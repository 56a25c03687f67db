// The models: a card for each, what is being loaded, and which published ones fit the machine.

(() => {
  const AGAIN_MS = 1000;
  const { h } = studio;

  const ask = async () => {
    try {
      const reply = await fetch(new URL("./served", document.baseURI));
      return await reply.json();
    } catch {
      return { error: say("models.failed") };
    }
  };

  const number = (value, digits = 1) =>
    new Intl.NumberFormat(studio.locale, { maximumFractionDigits: digits }).format(value);
  const parameters = (count) => count >= 1e9
    ? say("models.billions", { number: number(count / 1e9) })
    : say("models.millions", { number: number(count / 1e6) });
  const bytes = (count) => count >= 1e9 ? `${number(count / 1e9)} GB` : `${number(count / 1e6, 0)} MB`;
  const source = (model) => model.source.startsWith("/")
    ? say("models.folder", { name: model.source.split("/").filter(Boolean).pop() })
    : model.source;

  // A fact with its name; nothing where there is none. What a maker wrote stays in its language.
  const fact = (key, value, lang = null) =>
    value ? [h("dt", {}, say(`models.${key}`)), h("dd", { lang }, value)] : [];

  const card = (model) => {
    const { card: said } = model;
    return h("article", { class: "model-card" },
      h("h3", {}, model.id),
      h("p", { lang: "en" }, model.sees),
      h("dl", {},
        fact("source", source(model)),
        fact("size", model.parameters && parameters(model.parameters)),
        fact("precision", model.precision),
        fact("memory", model.memory_bytes && say("models.on", { memory: bytes(model.memory_bytes), device: model.device })),
        fact("context", model.context_length && say("models.tokens", { number: number(model.context_length) })),
        fact("base", said?.base, "en"),
        fact("license", said?.license, "en"),
        fact("trained_on", said?.trained_on, "en"),
        fact("accuracy", said?.accuracy, "en"),
        fact("limits", said?.limits, "en")),
      !said?.trained_on && !said?.limits && h("p", { class: "quiet" }, say("models.no_card")));
  };

  const progress = ({ id, share }) => {
    const percent = share === null ? null : Math.floor(100 * share);
    const words = percent === null ? say("models.reading", { model: id }) : say("models.loading", { model: id, percent });
    return h("div", { class: "load-line" }, h("span", {}, words),
      percent === null ? h("progress", { "aria-label": words }) : h("progress", { max: 1, value: share, "aria-label": words }));
  };

  const command = (text) => {
    const label = say("models.copy");
    const copy = h("button", { type: "button", class: "copy", title: label, "aria-label": label }, studio.icon("copy"));
    copy.addEventListener("click", () => studio.copy(text, copy));
    return h("div", { class: "command" }, h("code", { tabindex: "0" }, text), copy);
  };

  const fit = (each) => h("li", { class: each.command ? "fits" : "too-large" },
    h("b", {}, each.source),
    h("span", { class: "quiet" }, [parameters(each.parameters), each.command
      ? say("models.needs", { memory: bytes(each.needed), precision: each.precision })
      : say("models.too_large", { memory: bytes(each.needed) })].join(" · ")),
    each.command && command(each.command));

  const machine = (worker) => worker.machine && h("section", { class: "machine" },
    h("p", { class: "quiet" }, say("models.machine", { device: worker.machine.device, memory: bytes(worker.machine.free) })),
    h("ul", {}, worker.machine.fits.map(fit)));

  const content = ({ models, machines, error }) => {
    if (error) return [h("p", { role: "alert" }, error)];
    const loading = machines.flatMap((each) => each.loading);
    const known = machines.filter((each) => each.machine);
    return [
      loading.length > 0 && h("div", { class: "loading-models" }, loading.map(progress)),
      models.length > 0 ? models.map(card) : h("p", {}, say("head.no_model")),
      known.length > 0 && h("h2", {}, say("models.fitting")),
      known.length > 0 && h("p", { class: "quiet" }, say("models.fitting_more")),
      known.map(machine),
    ].flat().filter(Boolean);
  };

  const open = async (opener) => {
    const close = h("button", { type: "button", class: "close", "aria-label": say("models.close"), title: say("models.close") },
      studio.icon("close"));
    const body = h("div", { class: "models-body", tabindex: "0" }, h("p", { role: "status" }, say("models.waiting")));
    const dialog = h("dialog", { class: "models", "aria-label": say("models.title") },
      h("header", {}, h("h2", {}, say("models.title")), close), body);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    studio.goesWhenClosed(dialog, () => (opener.isConnected ? opener : document.querySelector(".about-models")));
    document.body.append(dialog);
    dialog.showModal();
    body.replaceChildren(...content(await ask()));
  };

  window.addEventListener("click", (event) => {
    const opener = event.target.closest?.(".about-models");
    if (opener) open(opener);
  });

  // News of the models draw the line with the button anew; whoever had it in focus keeps it.
  let held = false;
  window.addEventListener("focusin", ({ target }) => { held = Boolean(target.matches?.(".about-models")); });
  window.addEventListener("pointerdown", ({ target }) => { held &&= Boolean(target.closest?.(".about-models")); });
  new MutationObserver(() => {
    const lost = held && (document.activeElement ?? document.body) === document.body;
    if (lost) document.querySelector(".about-models")?.focus({ preventScroll: true });
  }).observe(document.documentElement, { childList: true, subtree: true });

  // --- while there is no model -------------------------------------------------------------------

  const board = h("div", { class: "loading-models", role: "status" });
  let shown = "";

  const place = () => {
    const none = document.querySelector("#sees .sees.none");
    if (!none) board.remove();
    else if (board.childElementCount && none.nextElementSibling !== board) none.after(board);
  };

  const look = async () => {
    if (!document.querySelector("#sees .sees.none") || document.hidden) return;
    const { machines = [] } = await ask();
    const loading = machines.flatMap((each) => each.loading);
    if (JSON.stringify(loading) !== shown) {
      shown = JSON.stringify(loading);
      board.replaceChildren(...loading.map(progress));
    }
    place();
  };

  new MutationObserver(place).observe(document, { childList: true, subtree: true });
  const again = async () => {
    await look();
    setTimeout(again, AGAIN_MS);
  };
  again();
})();
