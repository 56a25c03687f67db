// Cropping a picture in the message box before it is sent: by mouse, touch and keys.

(() => {
  const MOST_PIXELS = 16_000_000; // what the canvas of every browser holds
  const LEAST = 8; // pixels of a side
  const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
  const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

  const thumbnails = () => [...document.querySelectorAll("#box .thumbnail-item:has(img)")];
  const until = async (condition) => {
    for (let turn = 0; turn < 200 && !condition(); turn += 1) {
      await new Promise((go) => { setTimeout(go, 25); });
    }
  };

  // A part of a picture in its own pixels: x, y, width, height, always inside it.
  class Section {
    constructor(width, height) {
      this.full = { width, height };
      this.whole();
    }

    whole() { Object.assign(this, { x: 0, y: 0, ...this.full }); }

    square() {
      const side = Math.min(this.width, this.height);
      Object.assign(this, { x: this.x + (this.width - side) / 2, y: this.y + (this.height - side) / 2,
        width: side, height: side });
    }

    move(x, y) {
      this.x = clamp(x, 0, this.full.width - this.width);
      this.y = clamp(y, 0, this.full.height - this.height);
    }

    // Sides by their letters (n, e, s, w) go to this point; the others stay.
    drag(sides, x, y) {
      let [left, top, right, bottom] = [this.x, this.y, this.x + this.width, this.y + this.height];
      const [across, down] = [Math.min(LEAST, this.full.width), Math.min(LEAST, this.full.height)];
      if (sides.includes("w")) left = clamp(x, 0, right - across);
      if (sides.includes("e")) right = clamp(x, left + across, this.full.width);
      if (sides.includes("n")) top = clamp(y, 0, bottom - down);
      if (sides.includes("s")) bottom = clamp(y, top + down, this.full.height);
      Object.assign(this, { x: left, y: top, width: right - left, height: bottom - top });
    }

    get pixels() {
      const [x, y] = [Math.round(this.x), Math.round(this.y)];
      return { x, y, width: Math.max(1, Math.round(this.x + this.width) - x),
        height: Math.max(1, Math.round(this.y + this.height) - y) };
    }

    get isWhole() {
      const { width, height } = this.pixels;
      return width === this.full.width && height === this.full.height;
    }
  }

  const cut = async (image, { x, y, width, height }, type) => {
    const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.floor(width * scale));
    canvas.height = Math.max(1, Math.floor(height * scale));
    canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => { canvas.toBlob(done, type, 0.95); });
  };

  class Cropper {
    constructor(image, number) {
      this.image = image;
      this.section = new Section(image.naturalWidth, image.naturalHeight);
      this.build(number);
      document.body.append(this.dialog);
      this.dialog.showModal();
      this.frame.focus();
      this.draw();
      this.watch = new ResizeObserver(() => this.draw());
      this.watch.observe(this.image);
      this.done = new Promise((settle) => {
        this.dialog.addEventListener("close", () => {
          this.watch.disconnect();
          this.dialog.remove();
          settle(this.dialog.returnValue === "apply" && !this.section.isWhole ? this.section.pixels : null);
        });
      });
    }

    build(number) {
      const { h } = studio;
      this.told = h("output", { class: "told", role: "status" });
      this.frame = h("div", { class: "frame", tabindex: "0", role: "group", "aria-label": say("crop.frame"),
        "aria-describedby": "crop-keys" }, HANDLES.map((sides) => h("span", { class: `handle ${sides}`, "data-sides": sides })));
      this.stage = h("div", { class: "stage" }, this.image, this.frame);
      const act = (name, act, kind = "") => {
        const made = h("button", { type: "button", class: kind }, say(name));
        made.addEventListener("click", act);
        return made;
      };
      this.dialog = h("dialog", { class: "cropper", "aria-label": say("crop.title", { number }) },
        this.stage,
        h("div", { class: "crop-line" },
          this.told,
          act("crop.square", () => { this.section.square(); this.draw(); }),
          act("crop.whole", () => { this.section.whole(); this.draw(); }),
          act("crop.cancel", () => this.dialog.close()),
          act("crop.apply", () => this.dialog.close("apply"), "primary")),
        h("p", { class: "keys", id: "crop-keys" }, say("crop.keys")));
      this.stage.addEventListener("pointerdown", (event) => this.grab(event));
      this.frame.addEventListener("keydown", (event) => this.typed(event));
    }

    // A point of the screen in the picture's pixels.
    point(event) {
      const { left, top, width, height } = this.image.getBoundingClientRect();
      return [(event.clientX - left) / width * this.section.full.width,
        (event.clientY - top) / height * this.section.full.height];
    }

    grab(event) {
      if (event.button) return;
      event.preventDefault();
      this.frame.focus();
      let sides = event.target.dataset?.sides ?? "";
      const [x, y] = this.point(event);
      if (event.target === this.image) { // a new section, drawn from here
        Object.assign(this.section, { x: clamp(x, 0, this.section.full.width - 1),
          y: clamp(y, 0, this.section.full.height - 1), width: 1, height: 1 });
        sides = "se";
      }
      const [dx, dy] = [x - this.section.x, y - this.section.y];
      const move = (moved) => {
        const [toX, toY] = this.point(moved);
        if (sides) this.section.drag(sides, toX, toY);
        else this.section.move(toX - dx, toY - dy);
        this.draw();
      };
      const end = () => {
        this.stage.removeEventListener("pointermove", move);
        if (this.section.width < LEAST || this.section.height < LEAST) this.section.whole();
        this.draw();
      };
      this.stage.setPointerCapture(event.pointerId);
      this.stage.addEventListener("pointermove", move);
      this.stage.addEventListener("pointerup", end, { once: true });
      this.stage.addEventListener("pointercancel", end, { once: true });
    }

    typed(event) {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (event.key === "Enter") {
        event.preventDefault();
        this.dialog.close("apply");
      }
      if (!steps[event.key]) return;
      event.preventDefault();
      const { full } = this.section;
      const size = event.altKey ? 1 : Math.max(1, Math.round(Math.max(full.width, full.height) / 50));
      const [dx, dy] = steps[event.key].map((step) => step * size);
      const { x, y, width, height } = this.section;
      if (event.shiftKey) this.section.drag("se", x + width + dx, y + height + dy);
      else this.section.move(x + dx, y + dy);
      this.draw();
    }

    draw() {
      const { full, x, y, width, height } = this.section;
      const percent = (part, of) => `${100 * part / of}%`;
      Object.assign(this.frame.style, { left: percent(x, full.width), top: percent(y, full.height),
        width: percent(width, full.width), height: percent(height, full.height) });
      const { width: across, height: down } = this.section.pixels;
      this.told.textContent = say("crop.size", { width: across, height: down });
    }
  }

  const loaded = (url) => new Promise((done, failed) => {
    const image = studio.h("img", { alt: "", draggable: "false" });
    image.addEventListener("load", () => done(image));
    image.addEventListener("error", () => failed(new Error(url)));
    image.src = url;
  });

  const nameOf = (url) => decodeURIComponent(new URL(url).pathname.split("/").pop());
  const fileOf = async (url) => {
    const blob = await (await fetch(url)).blob();
    return new File([blob], nameOf(url), { type: blob.type });
  };

  // Pictures keep their order: from the cropped one on, all are taken out and put in again.
  const replace = async (at, cropped) => {
    const later = await Promise.all(thumbnails().slice(at + 1).map((each) => fileOf(each.querySelector("img").src)));
    while (thumbnails().length > at) {
      const left = thumbnails().length;
      thumbnails().at(-1).querySelector(".delete-button").click();
      await until(() => thumbnails().length < left);
      if (thumbnails().length === left) return;
    }
    studio.addPictures([cropped, ...later]);
    await until(() => thumbnails().length === at + 1 + later.length);
  };

  const crop = async (item) => {
    const at = thumbnails().indexOf(item);
    const url = item.querySelector("img").src;
    const image = await loaded(url).catch(() => null);
    if (!image) return;
    const section = await new Cropper(image, at + 1).done;
    if (section) {
      const type = /\.jpe?g$/i.test(nameOf(url)) ? "image/jpeg" : "image/png";
      const name = nameOf(url).replace(/\.\w+$/, type === "image/jpeg" ? ".jpg" : ".png");
      const blob = await cut(image, section, type);
      if (blob && thumbnails()[at]?.querySelector("img").src === url) {
        await replace(at, new File([blob], name, { type }));
      }
    }
    (thumbnails()[at]?.querySelector(".crop") ?? document.querySelector("#box textarea"))?.focus();
  };

  const equip = () => thumbnails().forEach((item, at) => {
    const label = say("crop.open", { number: at + 1 });
    const known = item.querySelector(".crop");
    if (known) {
      if (known.title !== label) {
        known.title = label;
        known.setAttribute("aria-label", label);
      }
      return;
    }
    const opener = studio.h("button", { type: "button", class: "crop", title: label, "aria-label": label },
      studio.icon("crop"));
    opener.addEventListener("click", () => crop(item));
    item.querySelector("img").addEventListener("click", () => crop(item));
    item.append(opener);
  });
  new MutationObserver(equip).observe(document, { childList: true, subtree: true });
})();
