"use strict";
// A task's prompts and outputs, an item at a time. What they say is written as text, never as markup.

const minus = (number, digits) => number.toFixed(digits).replace("-", "−");

// The words of `text`, those marked that its longest common sequence with `reference` has not.
function differing(text, reference) {
  const [own, right] = [text, reference].map((one) => one.split(/(\s+)/).filter((word) => word !== ""));
  if (!right.length || own.length * right.length > 250_000) return [text];
  const same = (a, b) => a.toLowerCase() === b.toLowerCase();
  const lengths = Array.from({ length: own.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let a = own.length - 1; a >= 0; a -= 1) {
    for (let b = right.length - 1; b >= 0; b -= 1) {
      lengths[a][b] = same(own[a], right[b]) ? lengths[a + 1][b + 1] + 1 : Math.max(lengths[a + 1][b], lengths[a][b + 1]);
    }
  }
  const parts = [];
  let b = 0;
  own.forEach((word, a) => {
    while (b < right.length && !same(word, right[b]) && lengths[a][b + 1] === lengths[a][b] && lengths[a + 1][b] < lengths[a][b]) b += 1;
    const shared = b < right.length && same(word, right[b]);
    if (shared) b += 1;
    parts.push(shared || !word.trim() ? word : make("mark", { title: "not in the reference" }, word));
  });
  return parts;
}

// The choices that a model was given, which stand at the item where all were given the same; and what it said of them.
function choicesOf(answer, item) {
  if (!answer.logprobs) return undefined;
  const given = answer.choices || (answer.shown ? answer.shown.map((place) => item.choices[place]) : item.choices);
  return given.map((choice, place) => ({ ...choice, chosen: choice.number === answer.chosen, logprob: answer.logprobs[place] ?? undefined }));
}

function choiceList(choices) {
  const known = choices.filter((choice) => choice.logprob !== undefined).map((choice) => choice.logprob);
  const best = Math.max(...known);
  return make("ol", {}, ...choices.map((choice) => {
    const share = choice.logprob === undefined ? undefined : 100 * Math.exp(choice.logprob - best);
    return make("li", { value: choice.number, class: `${choice.gold ? "gold" : ""} ${choice.chosen ? "chosen" : ""}` },
      make("bdi", {}, choice.text), " ",
      choice.logprob === undefined ? undefined : make("code", {}, minus(choice.logprob, 2)),
      choice.gold ? make("small", {}, " gold") : undefined,
      choice.chosen ? make("small", {}, " chosen") : undefined,
      share === undefined ? undefined : make("span", { class: "share", "aria-hidden": "true", style: `width:${share.toFixed(1)}%` }));
  }));
}

function answerCard(answer, item, data, generations) {
  const name = data.models[answer.by];
  const title = make("h5", {}, make("bdi", {}, name), " ");
  if (answer.right !== undefined) title.append(make("span", { class: answer.right ? "right" : "wrong" }, answer.right ? "✓ right" : "✗ wrong"));
  else if (answer.value) title.append(make("span", { class: "score" }, `${data.metric} ${answer.value}`));
  const right = answer.right === undefined ? undefined : Number(answer.right);
  const card = make("div", { class: `answer-card ${generations[name] || ""}`, "data-model": name, "data-right": right }, title);
  const line = (text, look = "small") => card.append(make("p", { class: look }, text));
  if (answer.error) line(answer.error, "wrong");
  if (answer.note) line(answer.note);
  const choices = choicesOf(answer, item);
  if (choices) card.append(choiceList(choices));
  if (answer.hidden) line(`${choices.length} of ${choices.length + answer.hidden} choices: the gold, the chosen, the likeliest.`);
  if (answer.text !== undefined) card.append(make("pre", {}, ...differing(answer.text, item.references?.[0] || "")));
  if (answer.taken) line(`taken as the answer: ${answer.taken}`);
  if (answer.others) {
    const list = make("ol", { start: 2 }, ...answer.others.map((text) => make("li", {}, make("bdi", {}, text))));
    card.append(make("details", {}, make("summary", {}, `${answer.others.length} more answers`), list));
  }
  if (answer.thought) card.append(make("details", {}, make("summary", {}, "what it thought"), make("pre", {}, answer.thought)));
  if (answer.finish) line(`ended by ${answer.finish}`);
  if (answer.logprob !== undefined) line(`log-prob ${minus(answer.logprob, 1)}${answer.tokens ? ` over ${answer.tokens.toLocaleString("en")} tokens` : ""}`);
  if (answer.cut) line("shortened to the window");
  if (answer.prompt) card.append(make("details", {}, make("summary", {}, "its own prompt"), make("pre", {}, answer.prompt)));
  return card;
}

// A text that scrolls can be reached by keyboard; one that does not would only be in the way.
const scrolling = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollHeight > target.clientHeight) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

function itemCard(item, data, generations) {
  const card = make("article", { "data-state": item.state }, make("h4", {}, "Item ", make("code", {}, item.id)));
  if (item.prompt) card.append(make("pre", { class: "prompt" }, item.prompt));
  if (item.references) {
    const others = item.references.slice(1);
    const more = others.length ? ` and ${others.length + (item.more || 0)} more: ${others.join(" · ")}${item.more ? " …" : ""}` : undefined;
    card.append(make("p", { class: "reference" }, make("b", {}, "Reference"), " ", make("bdi", {}, item.references[0]), more && make("small", {}, more)));
  }
  card.append(make("div", { class: "answers" }, ...item.answers.map((answer) => answerCard(answer, item, data, generations))));
  for (const text of card.querySelectorAll("pre")) scrolling.observe(text);
  return card;
}

// The items that pass: of a `state`, or "cut", or "only:MODEL"; on which `one` and `two` disagree; with `words` in them.
function passing(data, { state = "", one = "", two = "", words = "" }) {
  const by = (item, name) => item.answers.find((answer) => data.models[answer.by] === name)?.right;
  const sought = words.toLowerCase();
  return data.items.filter((item) => {
    if (state === "cut" && !item.answers.some((answer) => answer.cut)) return false;
    if (state.startsWith("only:")) {
      const name = state.slice(5);
      if (by(item, name) !== true || item.answers.some((answer) => data.models[answer.by] !== name && answer.right)) return false;
    } else if (state && state !== "cut" && item.state !== state) return false;
    if (one && (by(item, one) === undefined || by(item, two) === undefined || by(item, one) === by(item, two))) return false;
    return !sought || JSON.stringify([item.id, item.prompt, item.references, item.choices, item.answers.map((a) => [a.text, a.choices])]).toLowerCase().includes(JSON.stringify(sought).slice(1, -1));
  });
}
