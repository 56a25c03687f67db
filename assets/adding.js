// Pictures on their way into the message box: what no browser shows is made a JPEG first, by the
// page's own server (app/ui/readable.py).

(() => {
  const UNSHOWN = /\.(heic|heif|tiff?)$/i;
  const UNSHOWN_TYPE = /^image\/(heic|heif|tiff)/;

  const converted = async (file) => {
    const asked = { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } };
    const reply = await fetch(new URL("./readable", document.baseURI), asked);
    if (!reply.ok) {
      const told = await reply.json().catch(() => ({}));
      throw new Error(told.error ?? say("box.not_converted", { name: file.name }));
    }
    const name = `${file.name.replace(/\.\w+$/, "")}.jpg`;
    return new File([await reply.blob()], name, { type: "image/jpeg" });
  };

  studio.isUnshown = (file) => UNSHOWN.test(file.name) || UNSHOWN_TYPE.test(file.type);

  // The files in their order, each in a format that the browser shows; `refused` is told why one
  // is left out, and `working` which one is being converted.
  studio.showable = async (files, working, refused) => {
    const shown = [];
    for (const file of files) {
      if (!studio.isUnshown(file)) {
        shown.push(file);
        continue;
      }
      working(say("box.converting", { name: file.name }));
      try {
        shown.push(await converted(file));
      } catch (error) {
        refused(error instanceof TypeError ? say("box.not_converted", { name: file.name }) : error.message);
      }
    }
    working("");
    return shown;
  };
})();

// A photograph from the camera, on devices that are held in a hand.
(() => {
  const touched = window.matchMedia("(pointer: coarse)");

  const camera = () => {
    const field = studio.h("input", { type: "file", accept: "image/*", capture: "environment", hidden: true,
      tabindex: "-1", "aria-hidden": "true" });
    const label = say("box.camera");
    const button = studio.h("button", { type: "button", title: label, "aria-label": label }, studio.icon("camera"));
    button.addEventListener("click", () => field.click());
    field.addEventListener("change", () => {
      studio.addPictures([...field.files]);
      field.value = "";
    });
    return studio.h("span", { class: "camera" }, button, field);
  };

  const equip = () => {
    const row = document.querySelector("#box .input-row");
    const shown = row?.querySelector(".camera");
    if (row && touched.matches && !shown) row.querySelector(".submit-button, .stop-button")?.before(camera());
    else if (shown && !touched.matches) shown.remove();
  };
  touched.addEventListener("change", equip);
  new MutationObserver(equip).observe(document, { childList: true, subtree: true });
})();
