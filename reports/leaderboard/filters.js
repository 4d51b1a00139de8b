"use strict";
// The leaderboard's rows and columns that are asked for; the others are hidden.

// `only`: a name or a regular expression; `generations`, `families`: of those that are shown, "" for all, by commas;
// `least`: million parameters; `shots`: a number of examples; `column`: one task alone, or "all"; `more`: which columns
// are asked for that stand for several or beside those of tasks. What is no regular expression is a part of a name.
function filterBoard(board, { only = "", generations = "", least = "", families = "", shots = "", column = "all", more = "" }) {
  let named = (name) => name.toLowerCase().includes(only.toLowerCase());
  try {
    const pattern = new RegExp(only, "iu");
    named = (name) => pattern.test(name);
  } catch { /* a part of a name */ }
  const among = (list, one) => !list || list.split(",").includes(one);
  for (const row of board.querySelectorAll("tr[data-model]")) {
    const size = Number(row.cells[1].dataset.value || NaN);
    row.hidden = !named(row.dataset.model) || !among(generations, row.dataset.generation) || (least !== "" && !(size >= 1e6 * Number(least)));
  }
  for (const body of board.tBodies) {
    const group = body.querySelector(".group");
    if (group) group.hidden = ![...body.rows].some((row) => row !== group && !row.hidden);
  }
  const heads = [...board.tHead.rows[1].cells];
  const passes = ({ dataset }) => (column === "all"
    ? among(families, dataset.family) && (shots === "" || dataset.shots === shots)
    : dataset.column === column);
  const byColumn = new Map(heads.map((head) => [head.dataset.column, head]));
  const covers = (head) => (head.dataset.covers || "").split(" ").filter(Boolean);
  const covered = new Set(); // columns for which another stands
  // One that stands for several is there where one of them would be, and two of them do not stand for the same.
  const stands = (head) => column === "all" && more.split(",").includes(head.dataset.more)
    && (head.dataset.family === "also" || covers(head).some((one) => passes(byColumn.get(one)) && !covered.has(one)));
  const standing = new Set();
  for (const kind of ["families", "shots", undefined]) {
    const found = heads.filter((head) => head.dataset.more && (kind ? head.dataset.more === kind : head.dataset.family === "also") && stands(head));
    for (const head of found) standing.add(head);
    for (const one of found.flatMap(covers)) covered.add(one);
  }
  const shown = heads.map((head) => (head.dataset.more ? standing.has(head) : !head.dataset.family || (passes(head) && !covered.has(head.dataset.column))));
  for (const row of [board.tHead.rows[1], ...board.querySelectorAll("tr[data-model]")]) {
    [...row.cells].forEach((cell, place) => { cell.hidden = !shown[place]; });
  }
  for (const family of board.tHead.rows[0].querySelectorAll("th")) {
    const count = heads.filter((head, place) => head.dataset.family === family.dataset.family && shown[place]).length;
    family.hidden = !count;
    family.colSpan = count || 1;
  }
  return { models: [...board.querySelectorAll("tr[data-model]")].filter((row) => !row.hidden).length, columns: shown.filter((one, place) => one && heads[place].dataset.family).length };
}
