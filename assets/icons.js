// The page's icons, drawn for it: strokes on a field of 24 by 24.

(() => {
  const PATHS = {
    copy: "M9 9h11v11H9z M5 15H4V4h11v1",
    retry: "M20 11a8 8 0 1 0-2.3 6.4 M20 5v6h-6",
    edit: "M4 20l1-5L16 4l4 4L9 19z M14 6l4 4",
    up: "M7 11v9H4v-9z M7 11l4-8c2 0 2.6 1.4 2.2 3L12.5 9H18c1.6 0 2.3 1 2 2.4l-1.5 6.8c-.3 1.2-1 1.8-2.3 1.8H7",
    down: "M7 13V4H4v9z M7 13l4 8c2 0 2.6-1.4 2.2-3l-.7-3H18c1.6 0 2.3-1 2-2.4l-1.5-6.8C18.2 4.6 17.5 4 16.2 4H7",
    flag: "M5 21V4 M5 4h13l-3 4.5 3 4.5H5",
    undo: "M4 9h11a5 5 0 0 1 0 10H9 M8 5L4 9l4 4",
    eye: "M2 12c3-5 6.3-7 10-7s7 2 10 7c-3 5-6.3 7-10 7s-7-2-10-7z M12 9a3 3 0 1 0 .01 0",
    pin: "M9 3h6l-1 6 4 4H6l4-4z M12 13v8",
    trash: "M4 7h16 M9 7V4h6v3 M6 7l1 13h10l1-13 M10 11v5 M14 11v5",
    share: "M12 15V3 M8 7l4-4 4 4 M5 12v8h14v-8",
    search: "M10.5 4a6.5 6.5 0 1 0 .01 0 M15.5 15.5L21 21",
    down_arrow: "M6 9l6 6 6-6",
    save: "M12 3v12 M8 11l4 4 4-4 M5 20h14",
    camera: "M4 8h3l2-3h6l2 3h3v11H4z M12 10a3.5 3.5 0 1 0 .01 0",
    crop: "M7 2v15h15 M2 7h15v15",
    close: "M5 5l14 14 M19 5L5 19",
    panel: "M3 5h18v14H3z M9 5v14",
    plus: "M12 5v14 M5 12h14",
    keys: "M3 6h18v12H3z M7 10h.01 M12 10h.01 M17 10h.01 M8 14h8",
  };

  // An icon as an element; it has no name of its own, so its button needs one.
  studio.icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", PATHS[name]);
    svg.append(path);
    return svg;
  };
})();
