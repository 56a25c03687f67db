// Votes by keys: arrows or 1 to 4, while no text is being written and no list of choices has focus.
// In an empty message box, which has focus after a question, arrows have nothing else to do.

(() => {
  const votes = {
    ArrowLeft: "left",
    ArrowRight: "right",
    ArrowUp: "tie",
    ArrowDown: "both_bad",
    1: "left",
    2: "tie",
    3: "both_bad",
    4: "right",
  };
  const writes = (element) =>
    element?.isContentEditable ||
    element?.closest?.("input, textarea, select, [role=listbox], [role=radiogroup]");

  window.addEventListener("keydown", (event) => {
    const choice = votes[event.key];
    if (!choice || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (studio.dialogOpen() || (event.key.length === 1 && !studio.singleKeys())) return;
    const focused = document.activeElement;
    const idle = focused?.matches?.("textarea") && !focused.value && event.key.startsWith("Arrow");
    if (writes(focused) && !idle) return;
    // Whoever has begun the next question is not voting, wherever the focus is.
    if (document.querySelector("#box textarea")?.value.trim()) return;
    const button = document.querySelector(`#vote-${choice}`);
    if (!button || button.disabled) return;
    event.preventDefault();
    button.click();
    button.focus();
  });
})();
