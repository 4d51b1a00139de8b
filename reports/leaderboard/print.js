"use strict";
// On paper nothing scrolls: a wide table is printed smaller, a very wide one in pieces, each with its first column.

const PAPER = 940; // pixels of a page on its side, A4 or Letter, without its margins
const SMALLEST = 0.75; // of its size on the screen

// Where the columns of a table that are seen begin and end, by its last row of heads.
function columnsOf(table) {
  const row = [...table.tHead.rows].at(-1);
  return [...row.cells].filter((cell) => cell.offsetWidth).map((cell) => ({ begin: cell.offsetLeft, end: cell.offsetLeft + cell.offsetWidth }));
}

// The columns `from` up to `to` of those that are seen, behind the first, as a table of their own.
function piece(table, from, to) {
  const copy = table.cloneNode(true);
  copy.removeAttribute("id");
  copy.classList.replace("in-pieces", "printed");
  if (from > 1) copy.caption?.remove();
  [...table.rows].forEach((row, number) => {
    let place = 0;
    const cells = [...copy.rows[number].cells];
    [...row.cells].forEach((cell, at) => {
      if (!cell.offsetWidth) return cells[at].remove();
      const places = Array.from({ length: cell.colSpan }, (_, n) => place + n);
      place += cell.colSpan;
      const kept = places.filter((one) => one === 0 || (one >= from && one < to)).length;
      if (kept) cells[at].colSpan = kept;
      else cells[at].remove();
    });
  });
  for (const element of copy.querySelectorAll("[id]")) element.removeAttribute("id");
  return copy;
}

function prepare(table) {
  table.classList.remove("in-pieces");
  table.style.width = "min-content";
  const width = table.offsetWidth;
  const columns = columnsOf(table);
  const pieces = [];
  if (width * SMALLEST > PAPER) {
    for (let from = 1, to; from < columns.length; from = to) {
      to = from + 1;
      while (to < columns.length && columns[0].end + columns[to].end - columns[from].begin <= PAPER / SMALLEST) to += 1;
      pieces.push([from, to]);
    }
  }
  table.style.width = "";
  table.style.setProperty("--fit", pieces.length > 1 ? SMALLEST : Math.min(1, PAPER / Math.max(1, width)).toFixed(3));
  if (pieces.length < 2) return;
  table.classList.add("in-pieces");
  table.after(...pieces.map(([from, to]) => piece(table, from, to)));
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const earlier of document.querySelectorAll(".printed")) earlier.remove();
  for (const table of document.querySelectorAll(".scroll > table")) if (table.tHead && table.offsetWidth) prepare(table);
});
addEventListener("afterprint", () => {
  for (const piece of document.querySelectorAll(".printed")) piece.remove();
  for (const table of document.querySelectorAll(".in-pieces")) table.classList.remove("in-pieces");
});
