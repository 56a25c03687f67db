// The page behind a link: the conversation as the chat draws it, with nothing to ask or change.

(() => {
  window.say = (key, fields = {}) => {
    const [section, name] = key.split(".");
    return studio.texts[section][name].replace(/\{(\w+)\}/g, (_, field) => fields[field]);
  };

  // In large a picture is shown, and not what a model receives of it: nobody here may ask a model.
  const { enlarge } = studio;
  studio.enlarge = (urls, at, opener) => enlarge(urls, at, opener);

  const turns = studio.h("div", { class: "turns", tabindex: -1 });
  const place = document.querySelector("#chat");
  place.append(turns);
  const props = { value: JSON.stringify(studio.messages) };
  studio.mountConversation(place, () => {}, props, () => {});
  turns.scrollTop = 0;

  for (const time of document.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleString(studio.locale,
      { dateStyle: "long", timeStyle: "short" });
  }
})();
