// A picture may be dropped anywhere on the page, not only on the message box.
(() => {
  const box = () => document.querySelector("#box .full-container");
  const carriesFiles = (event) => event.dataTransfer && event.dataTransfer.types.includes("Files");

  window.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });

  window.addEventListener("drop", (event) => {
    const target = box();
    if (!carriesFiles(event) || !target || target.contains(event.target)) return;
    event.preventDefault();
    target.dispatchEvent(new DragEvent("drop", { dataTransfer: event.dataTransfer }));
  });
})();

// A message is read out by its text; the chat would have its Markdown source read out instead.
new MutationObserver(() => {
  for (const message of document.querySelectorAll("#chat [data-testid][dir][aria-label]")) {
    message.removeAttribute("aria-label");
  }
}).observe(document, { attributes: true, attributeFilter: ["aria-label"], childList: true, subtree: true });
