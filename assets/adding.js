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
