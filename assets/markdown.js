// A model's text as Markdown: code to copy, tables, formulas. HTML in it is shown as text, never run;
// no picture of it is loaded. marked reads the Markdown and KaTeX sets the formulas (assets/vendor).

(() => {
  const escape = (text) =>
    text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
  const formula = (tex, display) =>
    `<span class="formula" data-display="${display}">${escape(tex)}</span>`;

  // $$...$$, \[...\], \(...\), and $...$ where it can be no sum of money.
  const inlineFormula = {
    name: "inlineFormula",
    level: "inline",
    start: (text) => text.match(/\$|\\\(|\\\[/)?.index,
    tokenizer(text) {
      const found =
        /^\$\$([^$]+?)\$\$|^\\\[([\s\S]+?)\\\]/.exec(text) ??
        /^\\\(([\s\S]+?)\\\)|^\$(?!\s)((?:[^$\\\n]|\\.)+?)(?<!\s)\$(?!\d)/.exec(text);
      if (!found) return undefined;
      const display = /^(\$\$|\\\[)/.test(found[0]);
      return { type: "inlineFormula", raw: found[0], tex: found[1] ?? found[2], display };
    },
    renderer: (token) => formula(token.tex, token.display),
  };
  const safeLink = (href) => /^(https?:|mailto:)/i.test(href ?? "");
  const renderer = {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => escape(text || href),
    link({ href, tokens }) {
      const inner = this.parser.parseInline(tokens);
      if (!safeLink(href)) return inner;
      return `<a href="${escape(href)}" target="_blank" rel="noopener noreferrer nofollow">${inner}</a>`;
    },
    code: ({ text, lang }) => codeBlock(text, lang),
    table(token) {
      return `<div class="table" tabindex="0">${marked.Renderer.prototype.table.call(this, token)}</div>`;
    },
  };
  const codeBlock = (text, lang) => {
    const name = escape((lang ?? "").split(/\s/)[0]);
    return (
      `<div class="code"><div class="code-head"><span>${name}</span>` +
      `<button type="button" data-copy-code>${escape(say("answer.copy"))}</button></div>` +
      `<pre tabindex="0"><code>${escape(text)}</code></pre></div>`
    );
  };
  let reader = null;
  const read = (text) => {
    reader ??= new marked.Marked({ gfm: true, breaks: true, renderer, extensions: [inlineFormula] });
    return reader.parse(text);
  };

  // Formulas in an element, set as soon as KaTeX is there; until then their source is shown.
  let katexLoaded = null;
  const loadKatex = () => {
    katexLoaded ??= new Promise((resolve, reject) => {
      const sheet = document.createElement("link");
      Object.assign(sheet, { rel: "stylesheet", href: studio.katex.css });
      const script = document.createElement("script");
      Object.assign(script, { src: studio.katex.js, onload: resolve, onerror: reject });
      document.head.append(sheet, script);
    });
    return katexLoaded;
  };
  const typeset = (root) => {
    const formulas = root.querySelectorAll(".formula:not(.set)");
    if (!formulas.length) return;
    loadKatex().then(() => {
      for (const element of formulas) {
        const displayMode = element.dataset.display === "true";
        element.classList.add("set");
        katex.render(element.textContent, element, { displayMode, throwOnError: false });
      }
    });
  };

  const into = (element, text) => {
    element.innerHTML = read(text);
    typeset(element);
  };

  window.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy-code]");
    if (button) studio.copy(button.closest(".code").querySelector("code").textContent, button);
  });

  const LONG_BLOCK = 1500;
  const fence = (line) => /^ {0,3}(```+|~~~+)(.*)$/.exec(line);

  // Writes a text that only grows. What is complete is rendered once and never touched again, so
  // that a piece of a long answer costs no more than a piece of a short one.
  class Writer {
    constructor(root) {
      this.root = root;
      this.reset();
    }

    reset() {
      this.root.textContent = "";
      this.text = "";
      this.done = 0; // what lies before is rendered for good
      this.scanned = 0; // what lies before is known in whole lines
      this.open = null; // the fence of a code block or formula that is not closed
      this.live = this.root.appendChild(document.createElement("div"));
      this.code = null; // the text node of an open code block
    }

    write(text) {
      if (!text.startsWith(this.text)) this.reset();
      if (text.length === this.text.length) return;
      this.text = text;
      this.scan();
      this.showTail();
    }

    // Settle everything up to the last place where one block has surely ended.
    scan() {
      let boundary = this.done;
      for (;;) {
        const end = this.text.indexOf("\n", this.scanned);
        if (end < 0) break;
        const start = this.scanned;
        const line = this.text.slice(start, end);
        this.scanned = end + 1;
        const mark = fence(line);
        if (this.open) {
          const closes = this.open === "$$"
            ? line.trim().endsWith("$$")
            : mark && mark[1].startsWith(this.open) && !mark[2].trim();
          if (closes) {
            this.open = null;
            boundary = this.scanned;
          }
        } else if (mark) {
          this.settle(start);
          this.open = mark[1];
        } else if (/^\s*\$\$/.test(line) && !/\$\$.*\$\$/.test(line)) {
          this.open = "$$";
        } else if (!line.trim()) {
          boundary = this.scanned;
        } else if (/^([-*+]|\d+[.)])\s/.test(line) && start > this.done) {
          boundary = start;
        }
      }
      this.settle(boundary);
    }

    settle(end) {
      if (end <= this.done) return;
      const block = document.createElement("div");
      block.className = "block";
      into(block, this.text.slice(this.done, end));
      this.root.insertBefore(block, this.live);
      this.done = end;
      this.code = null;
      this.live.textContent = "";
    }

    showTail() {
      const tail = this.text.slice(this.done);
      if (this.open && this.open !== "$$") this.showCode(tail);
      else if (tail.length > LONG_BLOCK) this.append(tail, this.live);
      else into(this.live, tail);
    }

    showCode(tail) {
      const start = tail.indexOf("\n") + 1;
      if (!this.code) {
        this.live.innerHTML = codeBlock("", fence(tail.split("\n", 1)[0])?.[2].trim());
        this.append("", this.live.querySelector("code"));
      }
      this.append(tail.slice(start));
    }

    // The text as it is, of which only what is new is added.
    append(text, parent) {
      if (!this.code) {
        this.code = document.createTextNode("");
        parent.replaceChildren(this.code);
      }
      this.code.appendData(text.slice(this.code.length));
    }
  }

  studio.Writer = Writer;
  studio.markdown = into;
})();
