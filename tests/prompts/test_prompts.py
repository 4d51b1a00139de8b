"""From rows to prompts: ids, nested subsets, and examples that depend on the seed, the task and the item alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.core.errors import DataError, TaskError
from gpteval.core.types import Prompt, Rolling
from gpteval.data.lazy_rows import DataRow, LazyRows
from gpteval.data.sources import Rows as Loaded
from gpteval.data.sources import file, hub
from gpteval.prompts.build import build_prompts, load_task, takes_examples
from gpteval.prompts.items import all_items
from gpteval.tasks.task import Task
from tests.made_tasks import Rows, ask, halves, make, numbered, prompts


def shown(prompt: Prompt) -> list[str]:
    return [example.partition("\n")[0] for example in prompt.examples]


some_rows = st.lists(st.integers(0, 9), min_size=4, max_size=20).map(lambda numbers: numbered(*numbers))


distinct = st.lists(st.integers(), min_size=6, max_size=20, unique=True).map(lambda numbers: numbered(*numbers))


seeds = st.integers(0, 2**32)


fast = settings(max_examples=60, deadline=None)


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
    def in_pairs(rows: Sequence[DataRow]) -> Rows:
        return [{"n": a["n"] + b["n"]} for a, b in zip(rows[::2], rows[1::2], strict=True)]

    assert [i["n"] for i in load_task(make(numbered(1, 2, 3, 4), prepare=in_pairs)).items] == [3, 7]
    with pytest.raises(DataError, match="task numbers: generated test gives no items"):
        load_task(make(numbered(1), prepare=lambda rows: []))


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
        patched.setattr("gpteval.prompts.items.LARGE", 0)
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
