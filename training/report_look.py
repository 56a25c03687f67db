"""What the pages of reports share: one look, and one document that loads nothing."""

from __future__ import annotations

from html import escape

COLOURS = 6
"""So many curves or boxes have colours of their own, the classes c0 to c5; then they begin anew."""

_STYLE = """
:root {
  color-scheme: light dark;
  --page: #faf8f5; --card: #ffffff; --line: #e4dfd7; --grid: #eeeae3; --ink: #2c2926;
  --soft: #6d665e; --quiet: #f2efea; --muted: #cec7bc; --right: #2e7a4f;
  --accent: #d9603a; --tint: #fae3d8; --tint-2: #f4c5b0; --tint-ink: #5d2416;
  --c0: #d9603a; --c1: #2f7797; --c2: #4c8a3f; --c3: #8b5aa8; --c4: #b08512; --c5: #b34a72;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #171513; --card: #211e1c; --line: #443f3a; --grid: #322e2a; --ink: #e4dfd7;
    --soft: #aaa298; --quiet: #2c2926; --muted: #5b554e; --right: #7fce9f;
    --accent: #ec8a62; --tint: #46251a; --tint-2: #5d2f20; --tint-ink: #fae3d8;
    --c0: #ec8a62; --c1: #6bb2d1; --c2: #8ac47c; --c3: #c39adb; --c4: #dcb752; --c5: #e58bab;
  }
}
.c0 { --of: var(--c0); } .c1 { --of: var(--c1); } .c2 { --of: var(--c2); }
.c3 { --of: var(--c3); } .c4 { --of: var(--c4); } .c5 { --of: var(--c5); }
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 40px 24px 80px; max-width: 1080px;
  background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums;
}
h1, h2 { font-family: "Iowan Old Style", Palatino, Georgia, serif; }
h1, h2, h3 { font-weight: 600; overflow-wrap: anywhere; }
h1 { margin: 0 0 4px; font-size: 30px; line-height: 1.25; }
h2 { margin: 40px 0 12px; font-size: 22px; line-height: 1.3; }
h3 { margin: 0; font-size: 16px; }
p, figure { margin: 0; }
.soft { color: var(--soft); overflow-wrap: anywhere; }
.card, .figures div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.card { margin: 0 0 16px; padding: 18px 20px; }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 24px 0 16px;
}
.figures div { padding: 12px 16px 14px; }
.figures dt, .figures dd { margin: 0; color: var(--soft); font-size: 14px; }
.figures b {
  display: block; color: var(--ink); font-size: 24px; font-weight: 600; line-height: 1.35;
}
.key {
  display: flex; flex-wrap: wrap; gap: 2px 22px; margin: 0 0 12px; padding: 0; list-style: none;
}
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td {
  padding: 7px 14px 7px 0; text-align: left; font-weight: 400; border-top: 1px solid var(--grid);
}
thead th { border-top: 0; color: var(--soft); font-size: 14px; }
summary { padding: 4px 0; cursor: pointer; color: var(--soft); }
summary:hover { color: var(--ink); }
@media (max-width: 640px) {
  body { padding: 24px 14px 60px; }
  h1 { font-size: 25px; }
  .card { padding: 14px; }
  .figures { grid-template-columns: 1fr 1fr; gap: 10px; }
  .figures div { padding: 10px 12px 12px; }
  .figures div:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .figures b { font-size: 21px; }
}
"""


def document(title: str, style: str, body: str, *, pictures: bool = False) -> str:
    """The whole page, allowed to load nothing; ``pictures`` lets it show those in ``data:`` URLs.

    ``title`` is a text; ``style`` follows the shared one; ``body`` is HTML, its texts escaped.
    """
    shown = "; img-src data:" if pictures else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'{shown}">
<title>{escape(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
