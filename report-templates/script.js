"use strict";
// The page is complete without this. It adds: a theme switch, runtimes to hide, tables to sort and filter, values on the
// marks of charts, and links that open what they point to. What was chosen stands in the address and nowhere else:
// #anchor&hide=docker,podman&theme=dark
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const words = document.getElementById("words");
  const phrase = (name, values = {}) => Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value), words.dataset[name]);

  // State and address.
  const state = { hide: new Set(), theme: "" };
  const read = () => {
    const parts = location.hash.slice(1).split("&");
    const of = (key) => (parts.find((part) => part.startsWith(`${key}=`)) || "").slice(key.length + 1);
    const names = of("hide").split(",").filter(Boolean).map((name) => { try { return decodeURIComponent(name); } catch { return name; } });
    return { anchor: parts.find((part) => !part.includes("=")) || "", hide: new Set(names), theme: of("theme"), bare: !parts.some((part) => part.includes("=")) };
  };
  const write = (anchor = read().anchor) => {
    const parts = [anchor];
    if (state.hide.size) parts.push(`hide=${[...state.hide].map(encodeURIComponent).join(",")}`);
    if (state.theme) parts.push(`theme=${state.theme}`);
    const hash = parts.length > 1 || anchor ? `#${parts.join("&")}` : "";
    history.replaceState(null, "", location.pathname + location.search + hash);
  };

  // Theme.
  const button = document.getElementById("theme");
  const dark = () => (state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const paint = () => {
    if (state.theme === "dark" || state.theme === "light") root.dataset.theme = state.theme; else delete root.dataset.theme;
    button.textContent = phrase(dark() ? "light" : "dark");
    button.setAttribute("aria-label", phrase(dark() ? "toLight" : "toDark"));
  };
  button.hidden = false;
  button.addEventListener("click", () => { state.theme = dark() ? "light" : "dark"; paint(); write(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

  // Runtimes: every row and every mark that names one.
  const toggles = document.getElementById("toggles");
  const boxes = toggles ? all("input", toggles) : [];
  const refreshed = [];
  const show = () => {
    for (const one of all("[data-runtime]")) one.classList.toggle("off", state.hide.has(one.dataset.runtime));
    for (const box of boxes) box.checked = !state.hide.has(box.value);
    const hidden = boxes.filter((box) => !box.checked).length;
    if (toggles) toggles.querySelector(".count").textContent = hidden ? phrase("hidden", { n: hidden }) : "";
    for (const refresh of refreshed) refresh();
  };
  const choose = (change) => { change(); show(); write(); };
  if (toggles && boxes.length > 1) {
    toggles.hidden = false;
    for (const box of boxes) box.addEventListener("change", () => choose(() => (box.checked ? state.hide.delete(box.value) : state.hide.add(box.value))));
    for (const every of all("[data-all]", toggles)) {
      every.addEventListener("click", () => choose(() => { state.hide = new Set(every.dataset.all === "hide" ? boxes.map((box) => box.value) : []); }));
    }
  }

  // Menus close when they have been used.
  const menus = all("details.menu");
  const shut = (but) => { for (const menu of menus) if (menu !== but) menu.open = false; };
  document.addEventListener("click", (event) => shut(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    const open = menus.find((menu) => menu.open);
    if (event.key === "Escape" && open) { shut(); open.querySelector("summary").focus(); }
  });

  // Links within the page open what they point to and keep what was chosen.
  const reveal = (anchor) => {
    const target = anchor && document.getElementById(anchor);
    if (!target) return null;
    if (target.localName === "details") target.open = true;
    for (let at = target.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    return target;
  };
  let ours = false;
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    shut();
    ours = location.hash !== link.hash;
    reveal(link.hash.slice(1));
  });
  const arrive = () => {
    const found = read();
    if (ours && found.bare) { ours = false; write(found.anchor); return; }
    ours = false;
    state.hide = found.hide;
    state.theme = found.theme;
    paint();
    show();
    const target = reveal(found.anchor);
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", arrive);

  // Tables: sorted by a click on a title, thrice for the order they came in; rows without a value are always last.
  const key = (row, at) => {
    const cell = row.cells[at];
    const text = cell && !(cell.colSpan > 1) ? cell.textContent.trim() : "";
    if (text === "" || text === "~" || text === "–") return null;
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    return /^[-+]?\d+(\.\d+)?×?$/.test(text) ? parseFloat(text) : text;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  const sortable = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const sort = (head, at) => {
      const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next) head.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      const keyed = original.map((row) => ({ row, key: key(row, at) }));
      if (next) keyed.sort((a, b) => (a.key === null) - (b.key === null) || (a.key === null ? 0 : sign * compare(a.key, b.key)));
      body.append(...keyed.map((one) => one.row));
    };
    heads.forEach((head, at) => {
      const press = document.createElement("button");
      press.type = "button";
      press.className = "sort";
      press.append(...head.childNodes);
      head.append(press);
      press.addEventListener("click", () => sort(head, at));
    });
  };
  // Long ones get a box: rows stay that hold all of its words.
  const filtered = (table) => {
    const rows = [...table.tBodies[0].rows];
    const tools = words.content.firstElementChild.cloneNode(true);
    const [input, output] = [tools.querySelector("input"), tools.querySelector("output")];
    const apply = () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !wanted.every((word) => row.textContent.toLowerCase().includes(word));
      const left = rows.filter((row) => !row.hidden && !row.classList.contains("off")).length;
      output.textContent = left < rows.length ? phrase("rows", { n: left, all: rows.length }) : "";
    };
    input.addEventListener("input", apply);
    refreshed.push(apply);
    table.closest(".scroll").before(tools);
  };
  for (const table of all("table.data")) {
    if (table.tBodies[0].rows.length > 2) sortable(table);
    if (table.tBodies[0].rows.length > 12) filtered(table);
  }

  // A box that goes on to a side shows that it does.
  for (const box of all(".scroll")) {
    const edges = () => {
      box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
      box.classList.toggle("less", box.scrollLeft > 4);
    };
    box.addEventListener("scroll", edges, { passive: true });
    new ResizeObserver(edges).observe(box);
  }

  // Values on marks: under the pointer at once, and with the arrow keys where a chart has the focus.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  const told = (mark) => {
    const title = [...mark.children].find((child) => child.localName === "title");
    // The browser's own tip would come late and stand over ours.
    if (title) { mark.dataset.tip = title.textContent; title.remove(); }
    return mark.dataset.tip;
  };
  let lit = null;
  const place = (x, y) => {
    const [wide, high] = [tip.offsetWidth, tip.offsetHeight];
    tip.style.left = `${Math.max(8, Math.min(x + 14, root.clientWidth - wide - 8))}px`;
    tip.style.top = `${y + high + 24 > innerHeight ? Math.max(8, y - high - 12) : y + 18}px`;
  };
  const point = (mark, x, y) => {
    if (lit) lit.classList.remove("lit");
    lit = mark;
    const text = mark && told(mark);
    tip.hidden = !text;
    if (!text) return;
    mark.classList.add("lit");
    if (tip.textContent !== text) tip.textContent = text;
    place(x, y);
  };
  for (const chart of all("svg.chart")) {
    const marks = () => all("*", chart).filter((mark) => told(mark) && !mark.closest(".off"));
    chart.tabIndex = 0;
    chart.addEventListener("pointermove", (event) => {
      // Words and signs lie above what tells: the uppermost that tells something is meant.
      const below = document.elementsFromPoint(event.clientX, event.clientY);
      point(below.find((mark) => mark !== chart && chart.contains(mark) && told(mark)) || null, event.clientX, event.clientY);
    });
    chart.addEventListener("pointerleave", () => point(null));
    chart.addEventListener("blur", () => point(null));
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") point(null);
      if (!step) return;
      event.preventDefault();
      const list = marks();
      if (!list.length) return;
      const at = list.indexOf(lit);
      const mark = list[at < 0 ? (step > 0 ? 0 : list.length - 1) : (at + step + list.length) % list.length];
      const box = mark.getBoundingClientRect();
      point(mark, box.left + box.width / 2, box.top + box.height / 2);
    });
  }

  // Where a reader is.
  const links = all('nav a[href^="#"]');
  const sections = all("main > section[id]");
  const follow = () => {
    const above = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3);
    const here = above.length ? above[above.length - 1].id : "";
    for (const link of links) {
      if (link.hash.slice(1) === here) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; follow(); });
  }, { passive: true });

  // Paper has no folds, but for tables of every number: they are left out where nobody opened them.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not(.menu):not(.raw):not([open])");
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });

  arrive();
  follow();
})();
