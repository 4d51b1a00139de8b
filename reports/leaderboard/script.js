"use strict";
// Views, sorting, samples, theme, charts. Without it the page shows everything, one section after the other.
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const views = [...document.querySelectorAll("[data-view]")].map((element) => {
    const name = element.id;
    element.removeAttribute("id"); // or the browser would scroll to it, past the page's head
    return { element, name };
  });
  const figures = JSON.parse(byId("figures").textContent);
  root.classList.remove("loading");
  for (const controls of document.querySelectorAll(".controls")) controls.hidden = false;

  // What the page carries packed, or has in a file beside it, as text.
  async function unpacked(id) {
    const address = byId(id).dataset.beside;
    if (address && !byId(id).textContent) {
      await new Promise((found, missing) => {
        const script = make("script", { src: address });
        script.addEventListener("load", found);
        script.addEventListener("error", () => missing(new Error(`${decodeURIComponent(address)} is not beside this page: the two belong together.`)));
        document.head.append(script);
      });
    }
    const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  // The page's state is its fragment: #VIEW&key=value&..., as in #task=piqa-0&item=ID&show=wrong.
  const state = { view: "", options: new URLSearchParams() };

  function readFragment() {
    if (location.hash === "#content" && state.view) return; // the link past the navigation
    const [name, ...rest] = location.hash.slice(1).split("&");
    let view = name;
    try { view = decodeURIComponent(name); } catch { /* not a fragment of ours */ }
    state.view = views.some((v) => v.name === view) ? view : views[0].name;
    state.options = new URLSearchParams(rest.join("&"));
  }

  function setOptions(options) {
    for (const [key, value] of Object.entries(options)) {
      if (value === "") state.options.delete(key);
      else state.options.set(key, value);
    }
    const tail = state.options.toString();
    const view = state.view.split("=").map(encodeURIComponent).join("=");
    history.replaceState(null, "", `#${view}${tail && "&"}${tail}`);
  }

  // The leaderboard: sorted within generations, or across them. Models without a value stay last.
  const board = document.querySelector(".board");
  const models = [...board.tBodies].flatMap((home) =>
    [...home.rows].filter((row) => !row.classList.contains("group")).map((row) => ({ row, home })));
  const sorters = [...board.querySelectorAll("[data-key]")];
  const [{ home: together }] = models; // where all stand that are not grouped
  const pins = document.createElement("tbody"); // a model that is to be seen whatever the order
  pins.className = "pins";
  board.tHead.after(pins);

  // The leaderboard's filters: inputs whose value is in the fragment under their id.
  const filters = ["only", "generations", "least", "families", "shots", "column"].map(byId).filter(Boolean);
  const narrow = matchMedia("(max-width: 600px)"); // a phone: one task at a time, explanations folded
  const compact = byId("compact");
  const moreBoxes = [...document.querySelectorAll("input[data-more]")]; // columns beside those of tasks
  function arrangeFilters() {
    const usual = { column: narrow.matches ? byId("column")?.options[1].value : "all" };
    const asked = Object.fromEntries(filters.map(({ id }) => [id, state.options.get(id) || usual[id] || ""]));
    for (const input of filters) if (document.activeElement !== input) input.value = asked[input.id];
    const more = (state.options.get("more") || "").split(",").filter(Boolean);
    for (const box of moreBoxes) box.checked = more.includes(box.dataset.more);
    const { models, columns } = filterBoard(board, { ...asked, more: more.join() });
    compact.checked = state.options.get("compact") === "on";
    board.classList.toggle("compact", compact.checked);
    byId("shown").textContent = filters.some(({ id }) => state.options.get(id)) ? `${models} model${models === 1 ? "" : "s"}, ${columns} column${columns === 1 ? "" : "s"}` : "";
  }
  for (const input of filters) {
    input.addEventListener("input", () => {
      setOptions({ [input.id]: input.value });
      arrangeFilters();
    });
  }
  for (const box of moreBoxes) {
    box.addEventListener("change", () => {
      setOptions({ more: moreBoxes.filter(({ checked }) => checked).map(({ dataset }) => dataset.more).join() });
      arrangeFilters();
    });
  }
  const [ofColumn, alone, among] = [byId("of-column"), byId("alone"), byId("only").closest(".controls")];
  function fold() {
    for (const one of document.querySelectorAll(".fold")) one.open = !narrow.matches;
    if (ofColumn) (narrow.matches ? alone : among).append(ofColumn);
  }
  narrow.addEventListener("change", () => { fold(); arrangeFilters(); });
  fold();
  compact.addEventListener("change", () => {
    setOptions({ compact: compact.checked ? "on" : "" });
    arrangeFilters();
  });

  function arrangeBoard() {
    const grouped = state.options.get("group") !== "off";
    const button = sorters.find((b) => b.dataset.key === state.options.get("sort"));
    const sign = state.options.get("order") === "descending" ? -1 : 1;
    for (const other of board.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    const ordered = [...models];
    if (button) {
      const header = button.closest("th");
      const column = header.cellIndex;
      const value = ({ row }) => {
        const cell = row.cells[column];
        if ("text" in button.dataset) return cell.textContent;
        return cell.dataset.value ? Number(cell.dataset.value) : null;
      };
      header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      ordered.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
      });
    }
    for (const { row, home } of ordered) (grouped ? home : together).append(row);
    const pinned = models.find(({ row }) => row.dataset.model === state.options.get("pin"));
    if (pinned) pins.append(pinned.row);
    byId("pin").value = pinned ? pinned.row.dataset.model : "";
    board.classList.toggle("flat", !grouped);
    byId("grouped").checked = grouped;
    arrangeFilters(); // a generation's heading is seen with its rows, which are at their places now
  }

  for (const button of sorters) {
    button.addEventListener("click", () => {
      const first = "text" in button.dataset || "lower" in button.dataset ? "ascending" : "descending";
      const now = button.closest("th").getAttribute("aria-sort");
      const order = now === null ? first : now === "ascending" ? "descending" : "ascending";
      setOptions({ sort: button.dataset.key, order });
      arrangeBoard();
      const within = board.classList.contains("flat") ? "across generations" : "within each generation";
      byId("live").textContent = `Sorted by ${button.textContent}, ${order}, ${within}`;
    });
  }
  byId("pin").addEventListener("change", (event) => {
    setOptions({ pin: event.target.value });
    arrangeBoard();
  });
  byId("grouped").addEventListener("change", (event) => {
    setOptions({ group: event.target.checked ? "" : "off" });
    arrangeBoard();
  });

  // Pairs: differences to a baseline in the leaderboard's cells, and a matrix of all pairs of a task.
  const pairs = JSON.parse(byId("pair-data").textContent);
  const baseline = byId("baseline");
  const matrix = byId("matrix");

  // What is said of model `a` against model `b` in a column, or nothing.
  function pairOf(column, a, b) {
    for (const [x, y, straight, turned] of pairs.columns[column] || []) {
      if (x === a && y === b) return straight;
      if (x === b && y === a) return turned;
    }
    return null;
  }

  function arrangeBaseline() {
    if (!baseline) return;
    baseline.value = state.options.get("baseline") || "";
    const at = pairs.models.indexOf(baseline.value);
    for (const { row } of models) {
      const model = pairs.models.indexOf(row.dataset.model);
      for (const cell of row.querySelectorAll("[data-column]")) {
        cell.querySelector(".difference")?.remove();
        const found = at < 0 ? null : pairOf(cell.dataset.column, model, at);
        if (!found) continue;
        const span = document.createElement("span");
        span.className = `difference ${found.state}`;
        span.title = found.why;
        span.textContent = `${found.text} (${found.interval})`;
        cell.append(span);
      }
    }
  }
  baseline?.addEventListener("change", () => {
    setOptions({ baseline: baseline.value });
    arrangeBaseline();
  });

  function arrangeMatrix() {
    if (!matrix) return;
    const table = document.querySelector(".matrix");
    table.caption.querySelector("span").hidden = false;
    matrix.value = state.options.get("over") || "";
    [...table.tBodies[0].rows].forEach((row, a) => [...row.cells].slice(1).forEach((cell, b) => {
      cell.dataset.overall ??= cell.innerHTML; // as the page came: over all tasks
      cell.dataset.state ??= cell.className;
      cell.dataset.why ??= cell.title;
      if (!matrix.value) {
        [cell.innerHTML, cell.className, cell.title] = [cell.dataset.overall, cell.dataset.state, cell.dataset.why];
        return;
      }
      const found = pairOf(matrix.value, a, b);
      [cell.className, cell.title, cell.textContent] = [found?.state || "", found?.why || "", found ? "" : "·"];
      if (!found) return;
      const link = document.createElement("a");
      link.href = `#task=${encodeURIComponent(matrix.value)}&${new URLSearchParams({ one: pairs.models[a], two: pairs.models[b] })}`;
      link.textContent = found.text;
      const interval = document.createElement("span");
      interval.className = "ci";
      interval.textContent = found.interval;
      cell.append(link, interval);
    }));
  }
  matrix?.addEventListener("change", () => {
    setOptions({ over: matrix.value });
    arrangeMatrix();
  });

  // A task's samples, one at a time: those that the filters let through. They lie in the page packed.
  const generations = JSON.parse(byId("generation-of").textContent);
  const samples = new Map(); // by section, each opened once
  async function openSamples(section) {
    const data = JSON.parse(await unpacked(section.querySelector("script").id));
    for (const item of data.items) item.answers.forEach((answer, place) => { answer.by ??= place; });
    const choice = section.querySelector(".controls select");
    const offered = { right: "all models right", wrong: "all models wrong", split: "models disagree", cut: "prompt shortened" };
    const states = Object.entries(offered);
    if (data.models.length > 1) states.push(...data.models.map((name) => [`only:${name}`, `only ${name} right`]));
    for (const [state, text] of states) if (passing(data, { state }).length) choice.append(make("option", { value: state }, text));
    choice.parentElement.hidden = choice.options.length < 2;
    return data;
  }

  async function showItem(section, step = 0) {
    if (!section.querySelector("script")) return;
    const count = section.querySelector(".count");
    let data;
    try {
      if (!samples.has(section)) samples.set(section, openSamples(section));
      data = await samples.get(section);
    } catch (error) {
      samples.delete(section);
      count.textContent = byId(section.querySelector("script").id).textContent ? "This browser cannot unpack the items." : error.message;
      return;
    }
    const [one, two, words] = ["one", "two", "find"].map((name) => state.options.get(name) || "");
    const choice = section.querySelector(".controls select");
    choice.value = state.options.get("show") || "";
    const search = section.querySelector("input");
    if (document.activeElement !== search) search.value = words;
    const between = section.querySelector(".between");
    const [a, b] = [one, two].map((name) => data.models.indexOf(name));
    const apart = data.apart[`${Math.min(a, b)} ${Math.max(a, b)}`] || 0;
    between.hidden = !one;
    between.textContent = one ? `where ${one} and ${two} disagree: ${apart} of ${data.of} items, of which this page has` : "";
    const matching = passing(data, { state: choice.value, one, two, words });
    const place = Math.max(0, matching.findIndex((item) => item.id === state.options.get("item"))) + step;
    const at = Math.max(0, Math.min(matching.length - 1, place));
    section.querySelector(".item").replaceChildren(...(matching.length ? [itemCard(matching[at], data, generations)] : []));
    if (step) setOptions({ item: matching[at]?.id || "" });
    count.textContent = matching.length ? `${at + 1} of ${matching.length}` : "none among these items";
    section.querySelector('[data-step="-1"]').disabled = at <= 0;
    section.querySelector('[data-step="1"]').disabled = at >= matching.length - 1;
  }

  for (const section of document.querySelectorAll(".task")) {
    const choice = section.querySelector(".controls select");
    if (!choice) continue;
    choice.addEventListener("change", () => {
      setOptions({ show: choice.value, item: "", one: "", two: "" });
      showItem(section);
    });
    section.querySelector("input").addEventListener("input", (event) => {
      setOptions({ find: event.target.value, item: "" });
      showItem(section);
    });
    for (const button of section.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => showItem(section, Number(button.dataset.step)));
    }
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const step = { j: "1", k: "-1" }[event.key];
    if (step) document.querySelector(`.task.active [data-step="${step}"]`)?.click();
  });

  // The chart library lies in the page packed, and is unpacked when the first chart is seen.
  let library = null;
  async function loadLibrary() {
    const element = document.createElement("script");
    element.textContent = await unpacked("plotly");
    document.head.append(element);
  }

  // Charts take their colours from the page and their places from its width; drawn when they are seen.
  async function drawCharts() {
    const seen = () => [...document.querySelectorAll("[data-figure]")].filter((place) => place.offsetParent);
    if (!seen().length) return;
    try {
      await (library ??= loadLibrary());
    } catch {
      for (const place of seen()) place.textContent = "This browser cannot unpack the charts; the tables have their numbers.";
      return;
    }
    for (const place of seen()) {
      const figure = figures[place.dataset.figure];
      (figure.layout.meta.kind === "curve" ? drawCurves : drawChart)(place, figure);
      if (!place.nextElementSibling?.classList.contains("take")) offerFigure(place, `gpteval-${place.dataset.figure}`);
    }
  }

  function drawChart(place, figure) {
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const width = place.clientWidth;
    const { panels, rows } = figure.layout.meta;
    const across = Math.max(1, Math.min(panels, Math.floor(width / 290)));
    const down = Math.ceil(panels / across);
    const [body, title, ticks, legend] = [26 * rows + 8, 46, 30, 34];
    const height = down * (title + body + ticks);
    const layout = {
      ...figure.layout, width, height: height + legend, margin: { l: 8, r: 14, t: legend, b: 0 },
      font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    };
    for (let n = 0; n < panels; n += 1) {
      const [column, row, key] = [n % across, Math.floor(n / across), n ? n + 1 : ""];
      const bottom = 1 - (row * (title + body + ticks) + title + body) / height;
      const gap = across > 1 ? 22 / width : 0;
      const lines = { gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line") };
      const x = [column / across + (column ? gap : 0), (column + 1) / across - gap / 2];
      layout[`xaxis${key}`] = { ...figure.layout[`xaxis${key}`], ...lines, domain: x };
      layout[`yaxis${key}`] = {
        ...figure.layout[`yaxis${key}`], ...lines,
        domain: [bottom, bottom + body / height], showticklabels: column === 0, automargin: true,
      };
    }
    const data = figure.data.map((trace) => ({
      ...trace,
      marker: { ...trace.marker, color: colour(trace.legendgroup) },
      error_x: { ...trace.error_x, color: colour(trace.legendgroup) },
    }));
    Plotly.react(place, data, layout, { displaylogo: false, displayModeBar: false });
  }

  // A model's score by the number of examples: lines, and bands in a lighter tint.
  function drawCurves(place, figure) {
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const lines = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true };
    const layout = {
      ...figure.layout, width: Math.min(760, place.clientWidth), height: 380, margin: { l: 8, r: 14, t: 34, b: 8 },
      font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
      xaxis: { ...figure.layout.xaxis, ...lines }, yaxis: { ...figure.layout.yaxis, ...lines },
    };
    const data = figure.data.map((trace) => {
      const own = colour(trace.meta.generation);
      return {
        ...trace, fillcolor: trace.fill ? `${own}22` : undefined,
        line: { ...trace.line, color: own }, marker: { ...trace.marker, color: own },
        error_y: trace.error_y && { ...trace.error_y, color: own },
      };
    });
    Plotly.react(place, data, layout, { displaylogo: false, displayModeBar: false });
  }

  // The theme: what the system says, until the button is used.
  const themeButton = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  function themed() {
    themeButton.textContent = isDark() ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", `${themeButton.textContent} theme`);
    drawCharts();
  }
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    themed();
  });
  system.addEventListener("change", themed);

  const taskList = byId("tasks");
  taskList.disabled = false;
  taskList.addEventListener("change", () => {
    if (taskList.value) location.hash = taskList.value.split("=").map(encodeURIComponent).join("=");
  });

  function show() {
    readFragment();
    for (const { element, name } of views) element.classList.toggle("active", name === state.view);
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash.slice(1) === state.view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    taskList.value = state.view.startsWith("task=") ? state.view : "";
    const { element } = views.find((v) => v.name === state.view);
    if (state.view === "leaderboard") {
      arrangeBoard();
      arrangeBaseline();
    }
    if (state.view === "pairs") arrangeMatrix();
    if (element.classList.contains("task")) showItem(element);
    themed();
  }
  addEventListener("hashchange", () => { show(); scrollTo(0, 0); });
  document.querySelectorAll(".scroll > table").forEach((table) => {
    const view = table.closest("[data-view], section");
    const name = views.find((one) => one.element === view)?.name || "table";
    const place = [...view.querySelectorAll(".scroll > table")].indexOf(table);
    offerTable(table, `gpteval-${name.replace(/[^\w.-]+/g, "-")}${place ? `-${place + 1}` : ""}`);
  });
  // What a mark stands for: by pointing at it, and by a tap or the keyboard, which have no pointing.
  const told = byId("told");
  for (const mark of document.querySelectorAll("abbr[title]")) {
    Object.entries({ role: "button", tabindex: 0, "aria-description": mark.title }).forEach((pair) => mark.setAttribute(...pair));
    const tell = () => {
      told.textContent = mark.title;
      told.showPopover();
    };
    mark.addEventListener("click", tell);
    mark.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      tell();
    });
  }
  let waiting = 0;
  const boxes = [...document.querySelectorAll(".scroll")]; // those that hold more than is seen say so at their edge
  const hint = (box) => box.classList.toggle("beyond", box.scrollWidth - box.clientWidth - box.scrollLeft > 4);
  for (const box of boxes) {
    box.addEventListener("scroll", () => hint(box), { passive: true });
    new ResizeObserver(() => hint(box)).observe(box.querySelector("table") || box);
  }
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { drawCharts(); boxes.forEach(hint); }, 120);
  });
  show();
})();
