"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  const themes = ["automatic", "light", "dark"];
  const theme = document.querySelector(".theme");
  const kept = (name) => {
    try {
      if (name === undefined) return localStorage.getItem("pocketrec-theme");
      localStorage.setItem("pocketrec-theme", name);
    } catch {
      return null; // a file that may keep nothing
    }
    return name;
  };
  const show = (name) => {
    const known = themes.includes(name) ? name : "automatic";
    if (known === "automatic") delete root.dataset.theme;
    else root.dataset.theme = known;
    theme.lastChild.textContent = known;
    return known;
  };
  let shown = show(kept());
  theme.hidden = false;
  theme.addEventListener("click", () => {
    shown = show(themes[(themes.indexOf(shown) + 1) % themes.length]);
    kept(shown);
  });

  const natural = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const key = (row, place) => {
    const cell = row.cells[place];
    return cell.dataset.order === undefined ? cell.textContent.trim() : Number(cell.dataset.order);
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b || 0;
    if (typeof a === typeof b) return natural.compare(a, b);
    return typeof a === "number" ? -1 : 1; // what has no number stands last
  };
  const sort = (table, place, direction) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, number) => [key(row, place), number, row]);
    rows.sort((a, b) => direction * compare(a[0], b[0]) || a[1] - b[1]);
    body.append(...rows.map((each) => each[2]));
    all("thead th", table).forEach((head, number) => {
      if (number === place) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };

  for (const box of all(".table")) {
    const table = box.querySelector("table");
    all("thead th > button", box).forEach((button) => {
      const head = button.parentElement;
      button.addEventListener("click", () => {
        sort(table, head.cellIndex, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
      });
    });
    const choice = box.querySelector(".sort select");
    choice?.addEventListener("change", () => {
      if (choice.value !== "") sort(table, Number(choice.value), 1);
    });
    const input = box.querySelector('input[type="search"]');
    const count = box.querySelector(".count");
    input?.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = [...table.tBodies[0].rows];
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    });
    const tools = box.querySelector(".tools");
    if (tools) tools.hidden = false;
  }

  const bar = document.querySelector(".bar nav");
  const links = new Map(all(".bar nav a").map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watch = new IntersectionObserver(
    (entries) => {
      for (const each of entries) {
        if (each.isIntersecting) seen.add(each.target.id);
        else seen.delete(each.target.id);
      }
      const current = [...links.keys()].filter((name) => seen.has(name)).at(-1);
      for (const [name, link] of links) {
        if (name !== current) link.removeAttribute("aria-current");
        else if (!link.hasAttribute("aria-current")) {
          link.setAttribute("aria-current", "true");
          bar.scrollTo({ left: link.offsetLeft - bar.offsetLeft - 48 });
        }
      }
    },
    { rootMargin: "-72px 0px -75% 0px" },
  );
  all("main > section").forEach((each) => watch.observe(each));

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    opened.forEach((each) => (each.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((each) => (each.open = false)));
})();
