"use strict";
// Tables as text, to be taken into a paper or a program: what is seen of them, numbers with all their digits.

const ASIDE = ".ci, .bar, .better-than, .difference, .hidden, .more, .generation, .unit > span, .share";

function cellText(cell, without = ASIDE) {
  const copy = cell.cloneNode(true);
  for (const part of copy.querySelectorAll(without)) part.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

// The header and the rows that are seen, in cells: `text` and `aside` as the page has them, and of a score with all its
// digits the `value` and its interval (`low`, `high`).
function tableCells(table) {
  const seen = (row) => [...row.cells].filter((cell) => !cell.hidden);
  const header = seen([...table.tHead.rows].at(-1)).map((cell) => cellText(cell));
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.hidden && !row.classList.contains("group"));
  return {
    header,
    rows: rows.map((row) => seen(row).map((cell) => {
      const { value, low, high } = cell.dataset;
      const aside = [...cell.querySelectorAll(".ci")].map((part) => part.textContent.trim()).join("; ");
      return { text: cellText(cell), aside, value, low, high };
    })),
  };
}

// The same with columns for the bounds of intervals: strings and numbers, null where there is nothing.
function tableRecords(table) {
  const { header, rows } = tableCells(table);
  const bounded = header.map((_, place) => rows.some((row) => row[place].low));
  const number = (text) => (text === undefined || text === "" ? null : Number(text));
  const names = header.flatMap((name, place) => (bounded[place] ? [name, `${name} ci_low`, `${name} ci_high`] : [name]));
  const cells = rows.map((row) => row.flatMap((cell, place) => {
    if (bounded[place]) return [cell.value, cell.low, cell.high].map(number);
    if (cell.value !== undefined) return [number(cell.value)];
    return [cell.text && cell.aside ? `${cell.text} (${cell.aside})` : cell.text || null];
  }));
  return { names, cells };
}

const LATEX = { "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_", "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\\": "\\textbackslash{}", "−": "$-$", "±": "$\\pm$", "–": "--", "★": "$\\star$", "≈": "$\\approx$", "†": "$\\dagger$", "↑": "$\\uparrow$", "↓": "$\\downarrow$" };

const WRITERS = {
  csv(table) {
    const { names, cells } = tableRecords(table);
    const field = (value) => {
      if (typeof value === "number") return String(value);
      const text = /^[=+\-@\t\r]/.test(value || "") ? `'${value}` : value || ""; // no spreadsheet takes it for a formula
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return [names, ...cells].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
  },
  md(table) {
    const { header, rows } = tableCells(table);
    const cell = (text) => text.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("<", "&lt;");
    const line = (texts) => `| ${texts.join(" | ")} |`;
    const body = rows.map((row) => line(row.map(({ text, aside }) => cell(aside ? `${text} (${aside})` : text))));
    return [line(header.map(cell)), line(header.map((_, place) => (place ? "---:" : "---"))), ...body].join("\n") + "\n";
  },
  tex(table) {
    const { header, rows } = tableCells(table);
    const cell = (text) => [...text].map((letter) => LATEX[letter] ?? letter).join("");
    const line = (texts) => `${texts.map(cell).join(" & ")} \\\\`;
    const body = rows.map((row) => line(row.map(({ text, aside }) => (aside ? `${text} (${aside})` : text))));
    return [`\\begin{tabular}{l${"r".repeat(header.length - 1)}}`, "\\toprule", line(header), "\\midrule", ...body, "\\bottomrule", "\\end{tabular}"].join("\n") + "\n";
  },
  json(table) {
    const { names, cells } = tableRecords(table);
    return JSON.stringify(cells.map((row) => Object.fromEntries(row.map((value, place) => [names[place], value]))), null, 1) + "\n";
  },
};
const KINDS = { csv: "CSV", md: "Markdown", tex: "LaTeX", json: "JSON" };

function save(name, text) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" })) });
  link.click();
  URL.revokeObjectURL(link.href);
}

// Below a table what it can be taken as; `name` is that of the files.
function offerTable(table, name) {
  const line = make("p", { class: "take" }, "Take this table as ");
  for (const [kind, title] of Object.entries(KINDS)) {
    const button = make("button", { type: "button" }, title);
    button.addEventListener("click", () => save(`${name}.${kind}`, WRITERS[kind](table)));
    line.append(button, " ");
  }
  table.closest(".scroll").after(line);
}

// Below a chart the same; it is drawn by then.
function offerFigure(place, name) {
  const line = make("p", { class: "take" }, "Take this figure as ");
  for (const format of ["svg", "png"]) {
    const button = make("button", { type: "button" }, format.toUpperCase());
    button.addEventListener("click", () => Plotly.downloadImage(place, { format, filename: name, scale: format === "png" ? 3 : 1, width: place.clientWidth, height: place.clientHeight }));
    line.append(button, " ");
  }
  place.after(line);
}
