"""From rows to prompts: ids, nested subsets, and examples that depend on the seed, the task and the item alone."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.core.data import Row, file, generated, hub
from gpteval.core.data import Rows as Loaded
from gpteval.core.errors import ColumnError, DataError, GptevalError, ItemError, TaskError
from gpteval.core.items import all_items
from gpteval.core.prompts import build_prompts, load_task, takes_examples
from gpteval.core.rows import LazyRows
from gpteval.core.task import PromptFunction, Task
from gpteval.core.task import task as declare
from gpteval.core.types import Choice, Generate, Item, Prompt, Rolling

Rows = list[dict[str, Any]]


def ask(item: Item) -> Generate:
    return Generate(f"Q: {item['n']}\nA:", [f"<{item['n']}>"])


def make(rows: Sequence[Row], pool: Sequence[Row] | None = None, prompt: PromptFunction = ask, **fields: Any) -> Task:
    source = generated(lambda split: rows if split == "test" else (pool or []), revision="1")
    shots_from = None if pool is None else "train"
    return Task("numbers", "qa", source, prompt, "exact_match", shots_from=shots_from, **fields)


def numbered(*numbers: int) -> Rows:
    return [{"n": number} for number in numbers]


def prompts(task: Task, shots: int, limit: int | None = None, **options: Any) -> dict[str, Prompt]:
    data = load_task(task, shots=shots, limit=limit)
    return {prompt.item_id: prompt for prompt in build_prompts(data, shots=shots, **options)}


def shown(prompt: Prompt) -> list[str]:
    return [example.partition("\n")[0] for example in prompt.examples]


some_rows = st.lists(st.integers(0, 9), min_size=4, max_size=20).map(lambda numbers: numbered(*numbers))
distinct = st.lists(st.integers(), min_size=6, max_size=20, unique=True).map(lambda numbers: numbered(*numbers))
seeds = st.integers(0, 2**32)
fast = settings(max_examples=60, deadline=None)


# Ids


def test_an_id_is_that_of_the_content_and_the_version() -> None:
    task = make(numbered(1))
    (item,) = all_items(task, [{"n": 1, "text": "é"}])
    assert item.id == "1c288b8ce5e869a1", "cached outcomes and published samples go by it"
    assert all_items(task, [{"text": "é", "n": 1}])[0].id == item.id, "whatever the order of the columns"
    for other in (replace(task, version=2), replace(task, name="others")):
        assert all_items(other, [{"n": 1, "text": "é"}])[0].id != item.id


@fast
@given(some_rows, st.randoms(use_true_random=False))
def test_ids_are_unique_and_survive_reordering(rows: Rows, shuffler: random.Random) -> None:
    items = all_items(make(rows), rows)
    shuffled = shuffler.sample(rows, len(rows))
    assert len({item.id for item in items}) == len(rows)
    assert {item.id for item in all_items(make(rows), shuffled)} == {item.id for item in items}
    for one in items:
        for other in items:
            assert (one.id.partition("-")[0] == other.id.partition("-")[0]) == (one["n"] == other["n"])


def test_prepare_makes_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_pairs(rows: Sequence[Row]) -> Rows:
        return [{"n": a["n"] + b["n"]} for a, b in zip(rows[::2], rows[1::2], strict=True)]

    assert [i["n"] for i in load_task(make(numbered(1, 2, 3, 4), prepare=in_pairs)).items] == [3, 7]
    with pytest.raises(DataError, match="task numbers: generated test gives no items"):
        load_task(make(numbered(1), prepare=lambda rows: []))


# Subsets


@fast
@given(some_rows, st.integers(1, 20), st.integers(1, 20), seeds, st.randoms(use_true_random=False))
def test_limits_are_nested_and_independent_of_order(
    rows: Rows, one: int, other: int, seed: int, shuffler: random.Random
) -> None:
    def ids(limit: int | None, rows: Rows = rows) -> list[str]:
        return [item.id for item in load_task(make(rows), limit=limit, seed=seed).items]

    small, large = sorted([one, other])
    every = ids(None)
    assert len(ids(small)) == min(small, len(rows))
    assert set(ids(small)) <= set(ids(large)) <= set(every)
    assert ids(large) == [i for i in every if i in ids(large)], "the rows' order is kept"
    assert set(ids(small, shuffler.sample(rows, len(rows)))) == set(ids(small))


def test_another_seed_takes_another_subset() -> None:
    task = make(numbered(*range(100)))
    subsets = {tuple(i.id for i in load_task(task, limit=10, seed=seed).items) for seed in range(5)}
    assert len(subsets) == 5


# Examples


@fast
@given(distinct, st.integers(1, 4), st.integers(1, 20), st.randoms(use_true_random=False))
def test_examples_do_not_depend_on_order_or_limit(rows: Rows, shots: int, limit: int, shuffler: random.Random) -> None:
    whole = prompts(make(rows), shots)
    assert prompts(make(rows), shots, limit).items() <= whole.items()
    assert prompts(make(shuffler.sample(rows, len(rows))), shots) == whole


@fast
@given(some_rows, some_rows, st.sampled_from(["per-item", "fixed"]), seeds)
def test_an_item_is_never_its_own_example(rows: Rows, pool: Rows, mode: Any, seed: int) -> None:
    """Nor is another row of the same content, in the same split or in the other."""
    for task in (make(rows), make(rows, pool)):
        try:
            found = prompts(task, 2, mode=mode, seed=seed)
        except TaskError:  # too few others; tested below
            continue
        for prompt in found.values():
            assert prompt.request.prompt.partition("\n")[0] not in shown(prompt)


@fast
@given(distinct, st.integers(1, 3), st.sampled_from(["per-item", "fixed"]), seeds)
def test_k_examples_begin_those_of_k_plus_one(rows: Rows, shots: int, mode: Any, seed: int) -> None:
    fewer, more = (prompts(make(rows), k, mode=mode, seed=seed) for k in (shots, shots + 1))
    for name, prompt in fewer.items():
        assert len(set(prompt.examples)) == shots
        assert more[name].examples[:shots] == prompt.examples


@fast
@given(distinct, distinct, seeds)
def test_fixed_examples_are_the_same_for_all_items_but_those_in_the_set(rows: Rows, pool: Rows, seed: int) -> None:
    apart = [row for row in pool if row not in rows]
    if len(apart) >= 3:
        sets = {prompt.examples for prompt in prompts(make(rows, apart), 3, mode="fixed", seed=seed).values()}
        assert len(sets) == 1
    within = [prompt.examples for prompt in prompts(make(rows), 3, mode="fixed", seed=seed).values()]
    common = max(set(within), key=within.count)
    assert sum(examples != common for examples in within) <= 3


@fast
@given(distinct, st.integers(1, 3), st.integers(1, 20), st.sampled_from(["per-item", "fixed"]), seeds)
def test_a_large_split_is_read_where_it_is_needed(rows: Rows, shots: int, limit: int, mode: Any, seed: int) -> None:
    """What holds of a split that is read whole holds of one whose rows are asked for by their places."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gpteval.core.items.LARGE", 0)
        whole = prompts(make(rows), shots, mode=mode, seed=seed)
        some = prompts(make(rows), shots, limit, mode=mode, seed=seed)
        more = prompts(make(rows), shots + 1, mode=mode, seed=seed)
        assert len(some) == min(limit, len(rows))
        assert some.keys() <= prompts(make(rows), 0, limit + 1).keys(), "nested"
        assert some.items() <= whole.items()
        for name, prompt in whole.items():
            assert prompt.request.prompt.partition("\n")[0] not in shown(prompt)
            assert more[name].examples[:shots] == prompt.examples
    assert whole.keys() == prompts(make(rows), 0).keys(), "ids are those of the content"


def test_of_a_large_split_only_what_is_shown_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    rows = LazyRows(100_000, lambda place: asked.append(place) or {"n": place})  # type: ignore[func-returns-value]
    task = make([])
    monkeypatch.setattr(type(task.source), "load", lambda self, split=None: Loaded(rows, "1", "many"))
    assert len(prompts(task, 5, limit=20)) == 20
    assert 100 < len(asked) <= 130, "20 items and their examples"


def test_examples_vary_with_item_seed_and_task() -> None:
    task = make(numbered(*range(50)))
    first = prompts(task, 3)
    assert len({prompt.examples for prompt in first.values()}) > 40
    assert sum(first[name] == other for name, other in prompts(task, 3, seed=1).items()) < 5
    assert first == prompts(task, 3), "and with nothing else"


def test_a_prompt_is_preamble_examples_and_request() -> None:
    task = make(numbered(1), numbered(2), preamble="Numbers.\n", separator=" | ")
    (prompt,) = prompts(task, 1).values()
    assert prompt.text() == "Numbers.\nQ: 2\nA: <2> | Q: 1\nA:"
    assert prompt.text(dropped=1) == "Numbers.\nQ: 1\nA:"


def test_more_examples_than_there_are_is_an_error_that_says_how_many() -> None:
    with pytest.raises(TaskError, match="5 examples asked for, but only 3 others are there\n  use --shots 3") as caught:
        prompts(make(numbered(1, 2, 3, 4)), 5)
    assert "task numbers" in caught.value.message
    assert len(prompts(make(numbered(1, 2, 3, 4)), 3)) == 4, "all of them can be asked for"
    with pytest.raises(TaskError, match="only 0 others"):
        prompts(make(numbered(7, 7, 7)), 1)
    with pytest.raises(TaskError, match="3 examples asked for, but only 2 others"):
        prompts(make(numbered(1), numbered(1, 2, 3)), 3)


def test_whole_texts_take_no_examples() -> None:
    task = make(numbered(1, 2), prompt=lambda item: Rolling(str(item["n"])))
    assert not takes_examples(load_task(task))
    assert takes_examples(load_task(make(numbered(1))))
    assert len(prompts(task, 0)) == 2
    with pytest.raises(TaskError, match="task numbers scores whole texts and takes no examples"):
        prompts(task, 1)


# Where examples come from


def test_where_a_hub_dataset_lacks_the_pool_the_evaluated_split_serves_and_a_note_says_so(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path))
    folder = tmp_path / "org" / "name" / "default"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    task = Task("numbers", "qa", hub("org/name", split="test"), ask, "exact_match", shots_from="train")
    assert load_task(task).notes == (), "nothing was asked for"
    data = load_task(task, shots=1)
    assert "examples drawn from org/name/default/test" in data.notes[0]
    assert [shown(p) for p in build_prompts(data, shots=1)] == [["Q: 2"], ["Q: 1"]]
    (folder / "train.jsonl").write_text('{"n": 3}\n')
    data = load_task(task, shots=1)
    assert data.notes == ()
    assert [shown(p) for p in build_prompts(data, shots=1)] == [["Q: 3"], ["Q: 3"]]


def test_a_file_task_without_its_pool_is_an_error(tmp_path: Any) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    task = Task("numbers", "qa", file(tmp_path / "rows.jsonl"), ask, "exact_match", shots_from="train")
    assert load_task(task).pool == ()
    with pytest.raises(DataError, match=r"task numbers: rows.jsonl has no split 'train'"):
        load_task(task, shots=1)


# What a prompt function may do wrong


def refused(prompt: PromptFunction) -> tuple[GptevalError, str]:
    task = make(numbered(1, 2), prompt=prompt)
    with pytest.raises(TaskError) as caught:
        load_task(task)
    return caught.value, all_items(task, task.source.load().rows)[0].id


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (lambda item: Choice("x", [" a", ""], gold=0), "continuation 1 is empty: ''"),
        (lambda item: Choice("x", [" ", " b"], gold=0), "continuation 0 is empty: ' '"),
        (lambda item: Choice("x", [], gold=0), "no continuations"),
        (lambda item: Choice("x", " yes", gold=0), "not one string"),
        (lambda item: Choice("x", [" a", " b"], gold=2), r"gold index 2 is outside 0\.\.1"),
        (lambda item: Choice("x", [" a", " b"], gold=-1), "gold index -1"),
        (lambda item: Generate("", ["a"]), "the prompt is empty"),
        (lambda item: Generate("x", []), "no reference"),
        (lambda item: Generate("x", ["a"], max_new_tokens=0), "max_new_tokens is 0"),
        (lambda item: Rolling(""), "the text to be scored is empty"),
        (lambda item: Rolling(item["n"] / 0), "ZeroDivisionError"),
        (lambda item: None, "gave a NoneType, not a Choice, Rolling or Generate"),
        (lambda item: "text", "gave a str, not a Choice"),
    ],
)
def test_a_bad_request_names_the_task_and_the_item(prompt: Any, message: str) -> None:
    error, item = refused(prompt)
    assert isinstance(error, ItemError)
    assert error.message.startswith(f"task numbers: 2 of 2 rows cannot be posed, the first: item {item}: ")
    with pytest.raises(ItemError, match=message):
        raise error


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    error, item = refused(lambda item: Rolling(item["m"]))
    assert isinstance(error, ColumnError)
    assert error.message.endswith(f"the first: item {item} has no column 'm'; it has 'n'")


# Rows that cannot be posed


def halves(item: Item) -> Choice:
    return Choice(f"{item['n']}", [f" {item['word']}", " no"], gold=0)


def with_nulls(count: int, *bad: int) -> list[dict[str, Any]]:
    return [{"n": n, "word": None if n in bad else f"w{n}"} for n in range(count)]


def test_a_bad_row_is_left_out_and_named() -> None:
    task = make(with_nulls(300, 7, 9), prompt=halves)
    data = load_task(task)
    assert [item["n"] for item in data.items] == [n for n in range(300) if n not in (7, 9)]
    (note,) = data.notes
    first = all_items(task, with_nulls(300, 7, 9))[7].id
    assert note == (f"2 of 300 rows cannot be posed and are left out, the first: item {first}: column 'word' is null")
    assert len(build_prompts(data)) == 298


@pytest.mark.parametrize(
    ("count", "bad", "share", "fine"),
    [
        (10, 1, 0.01, True),
        (10, 2, 0.01, False),
        (300, 3, 0.01, True),
        (300, 4, 0.01, False),
        (10, 2, 0.2, True),
        (10, 1, 0, False),
        (1, 1, 1.0, False),
    ],
)
def test_too_many_bad_rows_fail_the_task(count: int, bad: int, share: float, fine: bool) -> None:
    task = make(with_nulls(count, *range(bad)), prompt=halves)
    if fine:
        assert len(load_task(task, max_bad_rows=share).items) == count - bad
        return
    with pytest.raises(ItemError, match=f"{bad} of {count} rows cannot be posed") as caught:
        load_task(task, max_bad_rows=share)
    assert "--max-bad-rows" in caught.value.hint


def test_a_bad_row_is_never_an_example() -> None:
    data = load_task(make(with_nulls(100, 3), prompt=halves), shots=90)
    prompts = build_prompts(data, shots=90)
    assert not any("None" in prompt.text() for prompt in prompts)
    with pytest.raises(TaskError, match="99 examples asked for, but only 98 others"):
        build_prompts(data, shots=99)


@pytest.mark.parametrize(
    "row", [{"x": None}, {"x": ["a", None]}, {"x": {"de": None, "en": "a"}}, {"x": {"texts": ["a", None]}}], ids=str
)
def test_null_is_found_wherever_it_lies(row: dict[str, Any]) -> None:
    def prompt(item: Item) -> Rolling:
        value = item["x"]
        if isinstance(value, dict):
            value = value[next(iter(value))]
        return Rolling(str(value))

    with pytest.raises(ItemError, match=r"column '(x|de|texts)' (is|holds a) null"):
        load_task(make([row], prompt=prompt))
    assert Item("i", row).get("x") == row["x"]
    assert Item("i", row).get("y", 1) == 1


def test_an_example_never_shows_the_items_own_prompt_and_answer() -> None:
    """Although its row differs in a column that the prompt does not show."""
    rows = [{"id": n, "n": n % 5, "word": f"w{n % 5}"} for n in range(20)]
    data = load_task(make(rows, prompt=halves), shots=3)
    for item, prompt in zip(data.items, build_prompts(data, shots=3), strict=True):
        assert not any(example.startswith(f"{item['n']} ") for example in prompt.examples)
    repeating = load_task(make(rows, prompt=halves, shots_may_repeat=True), shots=10)
    shown = [
        any(example.startswith(f"{item['n']} ") for example in prompt.examples)
        for item, prompt in zip(repeating.items, build_prompts(repeating, shots=10), strict=True)
    ]
    assert any(shown)


def test_a_generator_that_raises_is_its_tasks_failure() -> None:
    def broken(split: str) -> list[dict[str, Any]]:
        raise KeyError("gone")

    with pytest.raises(DataError, match=r"task numbers: its data cannot be made: KeyError: 'gone'"):
        load_task(replace(make([{"n": 1}]), source=generated(broken, revision="1")))


@pytest.mark.parametrize("lacking", [0, 4, 6])
def test_rows_without_labels_among_the_examples_are_counted(tmp_path: Path, lacking: int) -> None:
    rows = [{"text": f"row {n}", "label": None if n < lacking else n % 2} for n in range(6)]
    (tmp_path / "test.jsonl").write_text('{"text": "asked", "label": 1}\n')
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    source = file(tmp_path / "test.jsonl", train=tmp_path / "train.jsonl")

    @declare(family="qa", source=source, metric="acc", shots_from="train")
    def mine(item: Item) -> Choice:
        return Choice(item["text"], [" no", " yes"], gold=item["label"])

    with pytest.raises(TaskError) as caught:
        build_prompts(load_task(mine, shots=7), shots=7)
    left = 6 - lacking
    assert f"7 examples asked for, but only {left} others are there" in caught.value.message
    said = f"{lacking} of 6 rows cannot be shown as examples, the first: task mine"
    assert (said in caught.value.message) == bool(lacking)
    assert caught.value.hint.startswith(f"use --shots {left}")
