// What the page does in the browser besides Gradio. No build step, no dependencies.

// The words of the page by their key: say("box.too_large", { name, size, limit }).
window.say = (key, fields = {}) => {
  const [section, name] = key.split(".");
  return studio.texts[section][name].replace(/\{(\w+)\}/g, (_, field) => fields[field]);
};

// Where a browser keeps nothing, what is to be kept lasts as long as the page: Gradio fails otherwise.
for (const name of ["localStorage", "sessionStorage"]) {
  try {
    window[name].getItem("");
  } catch {
    const kept = new Map();
    const storage = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => { kept.set(key, String(value)); },
      removeItem: (key) => { kept.delete(key); },
      clear: () => kept.clear(),
      key: (at) => [...kept.keys()][at] ?? null,
      get length() { return kept.size; },
    };
    Object.defineProperty(window, name, { value: storage, configurable: true });
  }
}

// The switch of the language keeps the conversation; the choice leaves the address as soon as a
// cookie remembers it.
(() => {
  const address = new URL(window.location.href);
  if (address.searchParams.has("language") && document.cookie.includes("studio-language=")) {
    address.searchParams.delete("language");
    window.history.replaceState(window.history.state, "", address);
  }
  window.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-language]");
    if (!link) return;
    event.preventDefault();
    const here = new URL(window.location.href);
    here.searchParams.set("language", link.dataset.language);
    window.location.assign(here);
  });
})();

// The conversation that the address names, kept before anything changes the address.
window.studioChatInAddress = new URL(window.location.href).searchParams.get("chat");

// Pictures may be dropped anywhere on the page. What is no picture, or too large, is refused here,
// in a sentence with a next step, before anything is uploaded.
(() => {
  const ours = new WeakSet();
  const box = () => document.querySelector("#box .full-container");
  const limit = () => window.gradio_config?.max_file_size ?? Infinity;
  const megabytes = (bytes) => Math.round(bytes / 1e6);

  const complaint = (file) => {
    if (file.type && !file.type.startsWith("image/")) {
      return say("box.no_picture", { name: file.name });
    }
    if (file.size > limit()) {
      const sizes = { size: megabytes(file.size), limit: megabytes(limit()) };
      return say("box.too_large", { name: file.name, ...sizes });
    }
    return null;
  };

  const forget = () => document.querySelector("#notice .refused")?.remove();

  const tell = (complaints, role = "alert") => {
    forget();
    const notice = document.createElement("div");
    notice.className = "notice refused";
    notice.setAttribute("role", role);
    notice.textContent = complaints.join(" ");
    if (complaints.length) document.querySelector("#notice")?.append(notice);
  };

  // The files that may be uploaded; says why the others may not.
  const accepted = (files) => {
    const complaints = files.map(complaint).filter(Boolean);
    if (complaints.length) tell(complaints);
    const carried = new DataTransfer();
    files.filter((file) => !complaint(file)).forEach((file) => carried.items.add(file));
    return carried;
  };

  // What no browser shows is converted on the way; complaints are kept until all are through.
  const showable = async (files) => {
    const complaints = [];
    const carried = new DataTransfer();
    const working = (words) => tell(words ? [words] : [], "status");
    const shown = await studio.showable([...files], working, (words) => complaints.push(words));
    shown.forEach((file) => carried.items.add(file));
    if (complaints.length) tell(complaints);
    return carried;
  };

  const dropOnBox = async (given) => {
    const carried = [...given.files].some(studio.isUnshown) ? await showable(given.files) : given;
    if (!carried.files.length) return;
    const drop = new DragEvent("drop", { dataTransfer: carried });
    ours.add(drop);
    box()?.dispatchEvent(drop);
  };

  const takeOver = (event, carrier) => {
    const files = [...(carrier?.files ?? [])];
    if (!files.length || ours.has(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    dropOnBox(accepted(files));
  };

  const choose = (event) => {
    const input = event.target;
    if (input.type !== "file" || !input.files?.length) return;
    const carried = accepted([...input.files]);
    if ([...carried.files].some(studio.isUnshown)) {
      event.stopImmediatePropagation();
      input.value = "";
      dropOnBox(carried);
    } else if (carried.files.length) input.files = carried.files;
    else event.stopImmediatePropagation();
  };

  // Pictures into the message box, as if they had been dropped there.
  studio.addPictures = (files) => dropOnBox(accepted([...files]));

  window.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  window.addEventListener("drop", (event) => takeOver(event, event.dataTransfer), true);
  window.addEventListener("paste", (event) => {
    // Text from a word processor comes with a picture of itself: text wins.
    if (!event.clipboardData?.types.includes("text/html")) takeOver(event, event.clipboardData);
  }, true);
  window.addEventListener("change", choose, true);
  window.addEventListener("click", forget, true);
  window.addEventListener("keydown", (event) => event.key === "Enter" && forget(), true);
})();

// What screen readers are told: a message's text rather than its Markdown source, which the chat
// names it by, and the name of the message box, which has none of its own.
(() => {
  const correct = () => {
    for (const message of document.querySelectorAll("#chat [data-testid][dir][aria-label]")) {
      message.removeAttribute("aria-label");
    }
    for (const field of document.querySelectorAll("#box textarea:not([aria-label])")) {
      field.setAttribute("aria-label", say("box.label"));
    }
  };
  const changes = { attributeFilter: ["aria-label"], childList: true, subtree: true };
  new MutationObserver(correct).observe(document, changes);
})();

// What folds open: Gradio's button does not say whether it is open, and says its arrow aloud.
(() => {
  const told = () => {
    for (const button of document.querySelectorAll("button.label-wrap")) {
      button.setAttribute("aria-expanded", String(button.classList.contains("open")));
      button.querySelector(".icon")?.setAttribute("aria-hidden", "true");
    }
  };
  window.addEventListener("click", () => setTimeout(told));
  window.addEventListener("focusin", told);
})();
