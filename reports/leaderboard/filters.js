"use strict";
// The leaderboard's rows and columns that are asked for; the others are hidden.

// `only`: a name or a regular expression; `generations`, `families`: of those that are shown, "" for all, by commas;
// `least`: million parameters; `shots`: a number of examples; `column`: one task alone, or "all". What is no regular
// expression is a part of a name.
function filterBoard(board, { only = "", generations = "", least = "", families = "", shots = "", column = "all" }) {
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
  const asked = (head) => (column === "all"
    ? among(families, head.dataset.family) && (shots === "" || head.dataset.shots === shots)
    : head.dataset.column === column);
  const shown = heads.map((head) => !head.dataset.family || asked(head));
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
