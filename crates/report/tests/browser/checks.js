// What a test asks of a page that is open in a browser. Each answers with a list of what is wrong.
window.checks = {
  // What reaches beyond the right edge although nothing around it scrolls.
  overflow() {
    const wide = document.documentElement.scrollWidth > innerWidth ? [`page is ${document.documentElement.scrollWidth} of ${innerWidth} wide`] : [];
    if (!wide.length) return [];
    const out = [...document.querySelectorAll("main *, header *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, pre, .menu"));
    return wide.concat(out.slice(0, 5).map((e) => `${e.localName}.${e.className} ${e.textContent.slice(0, 40)}`));
  },
  // Words in charts, which axe leaves out: contrast with whatever lies below them, by WCAG 2.2, 1.4.3.
  charts() {
    const parse = (text) => text.match(/[\d.]+/g).slice(0, 3).map(Number);
    const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
    const mix = (top, below, alpha) => top.map((v, i) => v * alpha + below[i] * (1 - alpha));
    const bad = [];
    for (const chart of document.querySelectorAll("svg.chart")) {
      if (!chart.checkVisibility()) continue;
      const paper = parse(getComputedStyle(chart.closest(".card")).backgroundColor);
      const shapes = [...chart.querySelectorAll("rect, polygon, text")].map((e) => ({ e, box: e.getBoundingClientRect() }));
      for (const [at, { e, box }] of shapes.entries()) {
        if (e.localName !== "text" || !e.textContent.trim()) continue;
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        const alpha = (one) => Number(one.getAttribute("opacity") ?? 1);
        const under = shapes.slice(0, at).filter((s) => s.e.localName !== "text" && s.box.left <= x && x <= s.box.right && s.box.top <= y && y <= s.box.bottom);
        const ground = under.reduce((below, s) => mix(parse(getComputedStyle(s.e).color), below, alpha(s.e)), paper);
        const found = contrast(mix(parse(getComputedStyle(e).color), ground, alpha(e)), ground);
        if (found < 4.5) bad.push(`${e.textContent} (${e.getAttribute("class")}): ${found.toFixed(2)}`);
      }
    }
    return [...new Set(bad)].slice(0, 10);
  },
  // Elements that a reader with a keyboard reaches, and that show that they have the focus.
  focus() {
    const bad = [];
    for (const e of document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")) {
      if (!e.checkVisibility()) continue;
      e.focus();
      if (document.activeElement !== e) { bad.push(`${e.localName} ${e.textContent.slice(0, 30)} takes no focus`); continue; }
      const style = getComputedStyle(e);
      if (e.matches(":focus-visible") && style.outlineStyle === "none") bad.push(`${e.localName}.${e.className} shows no focus`);
    }
    return [...new Set(bad)].slice(0, 10);
  },
  async axe() {
    const run = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"], preload: false };
    const { violations, passes } = await axe.run(document, run);
    if (passes.length < 10) return [`only ${passes.length} rules were applied`];
    return violations.filter((v) => ["serious", "critical"].includes(v.impact)).flatMap((v) => v.nodes.slice(0, 4).map((n) => `${v.id}: ${n.html.slice(0, 160)} ${n.any.map((c) => c.message).join(" ").slice(0, 200)}`));
  },
};
