// Looking closer: pictures in large, and where in them an answer looked, word by word.

(() => {
  const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  // --- pictures in large -------------------------------------------------------------------------

  studio.enlarge = (urls, at, opener, model) => {
    const image = studio.h("img", { alt: "" });
    const count = studio.h("span", { class: "position", role: "status" });
    const step = (act, label, face, by) => {
      const made = studio.h("button", { type: "button", "aria-label": label, title: label, class: act }, face);
      made.addEventListener("click", () => show(now + by));
      return made;
    };
    const close = studio.h("button", { type: "button", class: "close", "aria-label": say("picture.close") }, "×");
    const dialog = studio.h("dialog", { class: "lightbox", "aria-label": say("picture.large") },
      image, close,
      urls.length > 1 && [step("former", say("picture.former"), "‹", -1), count,
        step("next", say("picture.next"), "›", 1)]);
    let now = at;
    const received = model && studio.offerReceived(dialog, image, model);
    const show = (wanted) => {
      now = (wanted + urls.length) % urls.length;
      received?.(urls[now]);
      image.src = urls[now];
      image.alt = say("picture.name", { number: now + 1 });
      count.textContent = `${now + 1}/${urls.length}`;
    };
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") show(now - 1);
      if (event.key === "ArrowRight") show(now + 1);
    });
    studio.goesWhenClosed(dialog, opener);
    show(at);
    document.body.append(dialog);
    dialog.showModal();
  };

  // --- where an answer looked --------------------------------------------------------------------

  // Embers over a darkened picture: what was looked at glows, the rest falls back.
  const paint = (canvas, image, grid, view) => {
    const [width, height] = [image.clientWidth, image.clientHeight];
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "rgba(16, 10, 8, 0.62)";
    context.fillRect(0, 0, canvas.width, canvas.height);
    const side = grid.length;
    const cells = new ImageData(side, side);
    const glow = new ImageData(side, side);
    grid.flat().forEach((value, at) => {
      const strength = Math.sqrt(Math.max(0, Math.min(1, value)));
      cells.data[4 * at + 3] = 255 * strength;
      glow.data.set([255, 120 + 90 * strength, 40, 150 * strength ** 3], 4 * at);
    });
    const [left, top, right, bottom] = view;
    const place = [left * canvas.width, top * canvas.height,
      (right - left) * canvas.width, (bottom - top) * canvas.height];
    const drawn = (data) => {
      const small = document.createElement("canvas");
      small.width = small.height = side;
      small.getContext("2d").putImageData(data, 0, 0);
      return small;
    };
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.globalCompositeOperation = "destination-out";
    context.drawImage(drawn(cells), ...place);
    context.globalCompositeOperation = "source-over";
    context.drawImage(drawn(glow), ...place);
  };

  const blend = (from, to, part) =>
    to.map((row, y) => row.map((value, x) => from[y][x] + (value - from[y][x]) * part));

  const mean = (words, picture) => {
    const grids = words.map((word) => word.grids[picture]);
    const sums = grids[0].map((row, y) => row.map((_, x) =>
      grids.reduce((sum, grid) => sum + grid[y][x], 0)));
    const most = Math.max(...sums.flat()) || 1;
    return sums.map((row) => row.map((value) => value / most));
  };

  class Looking {
    constructor(explanation, urls) {
      this.words = explanation.words.filter((word) => word.text.trim());
      this.views = explanation.views ?? [];
      this.figures = urls.map((url, at) => {
        const image = studio.h("img", { src: url, alt: say("picture.name", { number: at + 1 }) });
        const canvas = studio.h("canvas", { "aria-hidden": "true" });
        image.addEventListener("load", () => this.draw());
        return { image, canvas, node: studio.h("figure", {}, image, canvas) };
      });
      this.shown = urls.map((_, at) => mean(this.words, at));
      this.node = this.build();
      new ResizeObserver(() => this.draw()).observe(this.node);
      this.choose(-1);
    }

    build() {
      const most = Math.max(...this.words.map((word) => word.share), 1e-6);
      this.options = this.words.map((word, at) => studio.h("span", {
        role: "option", id: `looked-${crypto.randomUUID()}`, class: "word", "data-at": at,
        style: `--share: ${(word.share / most).toFixed(3)}`, "aria-selected": "false",
      }, word.text.trim()));
      this.list = studio.h("div", { role: "listbox", tabindex: "0", class: "words",
        "aria-label": say("look.words") }, this.options);
      this.told = studio.h("p", { class: "told", role: "status" });
      const play = studio.h("button", { type: "button", class: "play" }, say("look.play"));
      play.addEventListener("click", () => this.play());
      this.list.addEventListener("pointerover", (event) => this.pointed(event));
      this.list.addEventListener("click", (event) => this.pointed(event));
      this.list.addEventListener("keydown", (event) => this.typed(event));
      return studio.h("section", { class: "looking", "aria-label": say("look.title") },
        studio.h("div", { class: "figures" }, this.figures.map(({ node }) => node)),
        this.list,
        studio.h("div", { class: "look-line" }, play, this.told),
        studio.h("p", { class: "honest" }, say("look.honest")));
    }

    pointed(event) {
      const word = event.target.closest(".word");
      if (!word) return;
      clearInterval(this.playing);
      this.choose(Number(word.dataset.at));
    }

    typed(event) {
      const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
      const last = this.words.length - 1;
      let to = steps[event.key] ? this.chosen + steps[event.key] : null;
      if (event.key === "Home") to = 0;
      if (event.key === "End") to = last;
      if (event.key === "Escape") to = -1;
      if (to === null) return;
      event.preventDefault();
      clearInterval(this.playing);
      this.choose(Math.max(-1, Math.min(last, to)));
    }

    play() {
      clearInterval(this.playing);
      let at = -1;
      this.playing = setInterval(() => {
        at += 1;
        if (at >= this.words.length || !this.node.isConnected) {
          clearInterval(this.playing);
          at = -1;
        }
        this.choose(at);
      }, 650);
    }

    // -1: all words together.
    choose(at) {
      this.chosen = at;
      this.options.forEach((option, number) => option.setAttribute("aria-selected", String(number === at)));
      if (at < 0) this.list.removeAttribute("aria-activedescendant");
      else this.list.setAttribute("aria-activedescendant", this.options[at].id);
      const word = this.words[at];
      this.told.textContent = word
        ? say("look.share", { word: word.text.trim(), percent: Math.round(100 * word.share) })
        : say("look.all");
      this.fade(this.figures.map((_, picture) => word ? word.grids[picture] : mean(this.words, picture)));
    }

    fade(to) {
      const from = this.shown;
      const start = performance.now();
      const turn = (this.turn = (this.turn ?? 0) + 1);
      const step = (now) => {
        if (turn !== this.turn) return;
        const part = calm() ? 1 : Math.min(1, (now - start) / 180);
        this.shown = to.map((grid, at) => blend(from[at], grid, part));
        this.draw();
        if (part < 1) requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }

    draw() {
      this.figures.forEach(({ image, canvas }, at) => {
        if (image.complete && image.clientWidth) {
          paint(canvas, image, this.shown[at], this.views[at] ?? [0, 0, 1, 1]);
        }
      });
    }
  }

  // Open what an answer looked at under it, or close it again.
  studio.look = (conversation, here, opener) => {
    const open = here.node.querySelector(".looking");
    opener.setAttribute("aria-expanded", String(!open));
    if (open) {
      open.remove();
      return;
    }
    here.node.append(studio.h("section", { class: "looking waiting", role: "status" }, say("look.waiting")));
    conversation.trigger("expand", { answer_id: here.message.id });
  };

  studio.mountInsight = (props, watch) => {
    watch("value", () => {
      const { answer_id: id, explanation, refused } = JSON.parse(props.value || "{}");
      const { conversation } = studio;
      const here = conversation?.shown.find(({ message }) => message.id === id);
      const waiting = here?.node.querySelector(".looking.waiting");
      if (!waiting) return;
      if (!explanation) {
        waiting.textContent = refused;
        return;
      }
      waiting.replaceWith(new Looking(explanation, conversation.picturesBefore(here)).node);
      here.node.querySelector(".looking").scrollIntoView({ block: "nearest" });
    });
  };
})();
