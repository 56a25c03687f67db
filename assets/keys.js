// Shortcuts of every page, and the sheet that lists all keys. Keys of one sign (2.1.4 of WCAG 2.2)
// work outside text fields only, and the sheet can turn them off.

(() => {
  const SWITCH = "studio-single-keys";
  const apple = /Mac|iPhone|iPad/.test(navigator.platform);
  const COMMAND = apple ? "⌘" : "Ctrl";

  // Each line: what it does, and the keys for it; a list within is pressed together.
  const SHEET = {
    "keys.everywhere": [
      ["keys.sheet", "?", [COMMAND, "/"]],
      ["keys.new", [COMMAND, "Shift", "O"]],
      ["keys.box", "/"],
      ["keys.leave_box", "Esc"],
      ["keys.next", "Tab", ["Shift", "Tab"]],
      ["keys.press", "Enter", "Space"],
    ],
    "keys.writing": [
      ["keys.send", "Enter"],
      ["keys.line", ["Shift", "Enter"]],
      ["keys.stop", "Esc"],
      ["keys.cancel_edit", "Esc"],
    ],
    "keys.arena": [
      ["keys.left", "←", "1"],
      ["keys.right", "→", "4"],
      ["keys.tie", "↑", "2"],
      ["keys.both_bad", "↓", "3"],
    ],
    "keys.pictures": [
      ["keys.turn", "←", "→"],
      ["keys.words", "←", "→"],
      ["keys.ends", "Home", "End"],
      ["keys.close", "Esc"],
    ],
  };

  // Browsers that keep nothing let the choice last as long as the page.
  let single = true;
  try {
    single = localStorage.getItem(SWITCH) !== "off";
  } catch {
    // Storage is blocked.
  }
  studio.singleKeys = () => single;
  const setSingle = (wanted) => {
    single = wanted;
    try {
      localStorage.setItem(SWITCH, wanted ? "on" : "off");
    } catch {
      // Storage is blocked.
    }
  };

  studio.writesIn = (element) =>
    Boolean(element?.isContentEditable || element?.closest?.(
      "textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=button])"));
  studio.dialogOpen = () => Boolean(document.querySelector("dialog[open]"));

  const keysOf = (alternatives) => alternatives.flatMap((each, at) => [
    at ? " " : "",
    studio.h("span", { class: "combination" },
      [each].flat().flatMap((key, place) => [place ? "+" : "", studio.h("kbd", {}, key)])),
  ]);

  const sections = () => Object.entries(SHEET).map(([title, lines]) => studio.h("section", {},
    studio.h("h3", {}, say(title)),
    studio.h("dl", {}, lines.map(([what, ...keys]) => studio.h("div", {},
      studio.h("dt", {}, say(what)), studio.h("dd", {}, keysOf(keys)))))));

  const switchOf = () => {
    const box = studio.h("input", { type: "checkbox", id: SWITCH, checked: single });
    box.addEventListener("change", () => setSingle(box.checked));
    return studio.h("label", { class: "switch", for: SWITCH }, box, say("keys.single"));
  };

  // Tab goes round within the dialog, as the browser's own frame is no part of it.
  const hold = (event, dialog) => {
    if (event.key !== "Tab") return;
    const stops = [...dialog.querySelectorAll("button, input")];
    const edge = event.shiftKey ? stops[0] : stops.at(-1);
    if (document.activeElement !== edge) return;
    event.preventDefault();
    (event.shiftKey ? stops.at(-1) : stops[0]).focus();
  };

  studio.showKeys = () => {
    if (studio.dialogOpen()) return;
    const before = document.activeElement;
    const close = studio.h("button", { type: "button", class: "close", "aria-label": say("keys.close_sheet"),
      title: say("keys.close_sheet") }, studio.icon("close"));
    const dialog = studio.h("dialog", { class: "keys", "aria-labelledby": "keys-title" },
      studio.h("header", {}, studio.h("h2", { id: "keys-title" }, say("keys.title")), close),
      studio.h("div", { class: "sections" }, sections()), switchOf());
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      event.stopPropagation();
      hold(event, dialog);
    });
    studio.goesWhenClosed(dialog, before);
    document.body.append(dialog);
    dialog.showModal();
  };

  const pressed = (selector) => {
    const button = document.querySelector(selector);
    if (!button || button.disabled || !button.checkVisibility()) return false;
    button.click();
    return true;
  };
  const box = () => document.querySelector("#box textarea");

  // Each returns whether the key has done something.
  const commanded = (event) => {
    if (event.code === "Slash" || event.key === "/") return studio.showKeys() ?? true;
    if (event.shiftKey && event.code === "KeyO") return pressed("#new, #start-over, #new-battle");
    return false;
  };
  const typed = (event) => {
    if (event.key === "?") return studio.showKeys() ?? true;
    if (event.key === "/" && box()) return box().focus() ?? true;
    return false;
  };
  const escaped = ({ target }) => {
    const menu = target.closest?.("details[open].menu");
    if (menu) {
      menu.removeAttribute("open");
      menu.querySelector("summary").focus();
      return true;
    }
    if (target !== box() && studio.writesIn(target)) return false;
    if (pressed("#box .stop-button")) return true;
    if (target === box()) target.blur();
    return false;
  };

  window.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey || event.repeat) return;
    if (studio.dialogOpen()) return;
    const command = apple ? event.metaKey : event.ctrlKey;
    let done = false;
    if (command) done = commanded(event);
    else if (event.ctrlKey || event.metaKey) return;
    else if (event.key === "Escape") done = escaped(event);
    else if (single && !studio.writesIn(event.target)) done = typed(event);
    if (done) event.preventDefault();
  });
  window.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-show=keys]")) studio.showKeys();
  });
})();
