// What the model receives of a picture: shown in large in its place, on request.

(() => {
  const ask = async (sha256, model) => {
    const address = new URL(`./received/${sha256}?model=${encodeURIComponent(model)}`, document.baseURI);
    try {
      const reply = await fetch(address);
      return await reply.json();
    } catch {
      return { error: say("received.failed") };
    }
  };

  const fit = ({ view: [left, top, right, bottom], width, height, columns }) => {
    const lost = (from, to) => Math.round(100 * (1 - (to - from)));
    if (left < -0.02 || top < -0.02) return say("received.padded");
    if (lost(left, right) > 2) return say("received.cut_sides", { percent: lost(left, right) });
    if (lost(top, bottom) > 2) return say("received.cut_ends", { percent: lost(top, bottom) });
    const square = Math.abs(width / height - 1) < 0.02;
    return square || columns ? say("received.all") : say("received.squeezed");
  };

  const words = (told) => {
    const { frames, visual_tokens: tokens } = told;
    const fields = { ...told, frames: frames.length, tiles: frames.length - 1, tokens };
    const kind = frames.length > 1 ? "received.tiles" : "received.sizes";
    const grid = frames.length === 1 && Number.isInteger(Math.sqrt(tokens));
    return [say(kind, fields), fit(told), grid && say("received.grid")].filter(Boolean).join(" ");
  };

  const picture = (url, label, cells = 0) => studio.h("span",
    { class: cells ? "frame-seen gridded" : "frame-seen", style: `--cells: ${cells}` },
    studio.h("img", { src: url, alt: label }));

  const drawn = (told) => {
    const [whole, ...tiles] = told.frames;
    const cells = Math.sqrt(told.visual_tokens);
    const { h } = studio;
    return [
      h("div", { class: `seen${tiles.length ? " tiled" : ""}` },
        picture(whole, say("received.whole"), tiles.length || !Number.isInteger(cells) ? 0 : cells),
        tiles.length > 0 && h("div", { class: "tiles", style: `--columns: ${told.columns || tiles.length}` },
          tiles.map((tile, at) => picture(tile, say("received.tile", { number: at + 1 }))))),
      h("p", { class: "seen-words" }, words(told)),
    ];
  };

  // A choice between the picture and what a model receives of it. Returns what is to be called with
  // the address of each picture that is shown.
  studio.offerReceived = (dialog, image, model) => {
    const { h } = studio;
    const models = [...new Set([model, ...(studio.conversation?.models ?? [])])];
    const panel = h("div", { class: "received", hidden: true, role: "status" });
    const button = h("button", { type: "button", class: "receive", "aria-pressed": "false" }, say("received.show"));
    const choice = h("select", { "aria-label": say("received.model"), hidden: true },
      models.map((name) => h("option", { value: name }, name)));
    const bar = h("div", { class: "receive-bar" }, button, choice);
    let [open, url, turn] = [false, "", 0];

    const draw = async () => {
      const sha256 = /(?:^|\/)pictures\/([0-9a-f]{64})$/.exec(url)?.[1];
      bar.hidden = !sha256;
      const shown = open && Boolean(sha256);
      image.hidden = shown;
      panel.hidden = !shown;
      choice.hidden = !shown || models.length < 2;
      button.setAttribute("aria-pressed", String(open));
      button.textContent = say(open ? "received.hide" : "received.show");
      if (!shown) return;
      const now = (turn += 1);
      panel.replaceChildren(h("p", { class: "seen-words" }, say("received.waiting")));
      const told = await ask(sha256, choice.value);
      if (now !== turn) return;
      panel.replaceChildren(...(told.error ? [h("p", { class: "seen-words" }, told.error)] : drawn(told)));
    };

    button.addEventListener("click", () => { open = !open; draw(); });
    choice.addEventListener("change", draw);
    choice.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.append(panel, bar);
    return (address) => { url = address; draw(); };
  };
})();
