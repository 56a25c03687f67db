// Where the browser keeps nothing for this page, it says what does not work then. All else does:
// what would be kept lasts as long as the page.

(() => {
  const keeps = () => {
    try {
      localStorage.setItem("studio-kept", "1");
      localStorage.removeItem("studio-kept");
      return navigator.cookieEnabled;
    } catch {
      return false;
    }
  };

  // As of https://html.spec.whatwg.org/multipage/webstorage.html, for as long as the page is open.
  const memory = () => {
    const kept = new Map();
    return {
      getItem: (key) => kept.get(String(key)) ?? null,
      setItem: (key, value) => { kept.set(String(key), String(value)); },
      removeItem: (key) => { kept.delete(String(key)); },
      clear: () => kept.clear(),
      key: (at) => [...kept.keys()][at] ?? null,
      get length() { return kept.size; },
    };
  };

  const tell = () => {
    const notice = studio.h("div", { class: "blocked", role: "alert" }, say("page.blocked"));
    const close = studio.h("button", { type: "button", class: "close", "aria-label": say("page.blocked_close") },
      studio.icon("close"));
    close.addEventListener("click", () => notice.remove());
    notice.append(close);
    document.body.prepend(notice);
  };

  if (keeps()) return;
  for (const name of ["localStorage", "sessionStorage"]) {
    try {
      window[name].getItem("");
    } catch {
      Object.defineProperty(window, name, { value: memory(), configurable: true });
    }
  }
  window.addEventListener("load", tell);
})();
