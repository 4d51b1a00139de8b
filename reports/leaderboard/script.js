"use strict";
// Views, sorting, filters, theme, charts. Without it the page shows everything, one section after the other.
(() => {
  const root = document.documentElement;
  const views = [...document.querySelectorAll("[data-view]")].map((element) => {
    const name = element.id;
    element.removeAttribute("id"); // or the browser would scroll to it, past the page's head
    return { element, name };
  });
  const figures = JSON.parse(document.getElementById("figures").textContent);
  root.classList.add("js");

  // The theme: what the system says, until the button is used.
  const themeButton = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const labelTheme = () => { themeButton.textContent = isDark() ? "Light" : "Dark"; };
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    labelTheme();
    draw();
  });
  system.addEventListener("change", () => { labelTheme(); draw(); });
  labelTheme();

  // Charts take their text colours from the page, and are drawn when they are seen.
  function draw() {
    const style = getComputedStyle(root);
    const ink = style.getPropertyValue("--ink").trim();
    const line = style.getPropertyValue("--line").trim();
    for (const place of document.querySelectorAll("[data-figure]")) {
      if (!place.offsetParent) continue;
      const { data, layout } = figures[place.dataset.figure];
      const axes = {};
      for (const name of Object.keys(layout)) {
        if (/^[xy]axis/.test(name)) axes[name] = { ...layout[name], gridcolor: line, linecolor: line, zerolinecolor: line };
      }
      const narrow = place.clientWidth < 600;
      const font = { color: ink, family: "system-ui, sans-serif", size: narrow ? 10 : 12 };
      Plotly.react(place, data, { ...layout, ...axes, font, autosize: true, width: place.clientWidth }, { displaylogo: false, responsive: true });
    }
  }

  // The view is the fragment: #leaderboard, #charts, #task=NAME.
  function show() {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const view = views.find((v) => v.name === wanted) || views[0];
    for (const v of views) v.element.classList.toggle("active", v === view);
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash.slice(1) === view.name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    taskList.value = view.name.startsWith("task=") ? view.name : "";
    draw();
  }
  const taskList = document.getElementById("tasks");
  taskList.disabled = false;
  taskList.addEventListener("change", () => { if (taskList.value) location.hash = taskList.value; });
  addEventListener("hashchange", () => { show(); scrollTo(0, 0); });

  // Sorting within generations; models without a value stay last.
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const header = button.closest("th");
      const table = header.closest("table");
      const column = [...header.parentNode.children].indexOf(header);
      const first = button.dataset.sort === "text" || "lower" in button.dataset ? "ascending" : "descending";
      const now = header.getAttribute("aria-sort");
      const order = now === null ? first : now === "ascending" ? "descending" : "ascending";
      for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => {
        const cell = row.children[column];
        if (button.dataset.sort === "text") return cell.textContent;
        return cell.dataset.value ? Number(cell.dataset.value) : null;
      };
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
        rows.sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          if (x === null || y === null) return (x === null) - (y === null);
          return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
        });
        body.append(...rows);
      }
      document.getElementById("live").textContent = `Sorted by ${button.textContent}, ${order}, within each generation`;
    });
  }

  // Which samples to show.
  for (const filters of document.querySelectorAll(".filters")) {
    const articles = [...filters.closest("section").querySelectorAll("article")];
    if (articles.every((a) => a.dataset.state === "none")) continue;
    filters.hidden = false;
    const choice = filters.querySelector("select");
    const apply = () => {
      for (const a of articles) a.hidden = choice.value !== "" && a.dataset.state !== choice.value;
      filters.querySelector(".count").textContent = `${articles.filter((a) => !a.hidden).length} shown`;
    };
    choice.addEventListener("change", apply);
    apply();
  }

  show();
})();
