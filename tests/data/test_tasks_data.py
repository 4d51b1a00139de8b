"""The shipped tasks on the real data, and WikiText's pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpteval.core.types import Choice, Prompt, Rolling
from gpteval.prompts.build import build_prompts, load_task, takes_examples
from gpteval.tasks.task import Task
from tests.tasks.golden import TASKS

# WikiText


def wiki(name: str) -> Any:
    """A helper of tasks/lm.py."""
    return TASKS["wikitext2"].prompt.__globals__[name]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("a 3 @.@ 5 @-@ inch gun of 8 @,@ 000 men", "a 3.5-inch gun of 8,000 men"),
        ("one , two ; three : four . Five ! Six ? Seven", "one, two; three: four. Five! Six? Seven"),
        ("the door ( which was red ) fell", "the door (which was red) fell"),
        ("a [ sic ] and { b }", "a [sic] and {b}"),
        ('he said " come in " and left', 'he said "come in" and left'),
        ("the dogs ' door", "the dogs' door"),
        ("this is Ann 's key", "this is Ann's key"),
        ("the dogs ' door and Ann 's key", "the dogs'door and Ann's key"),  # taken for quotes, as in the harness
        (" = = Early life = = \n \n She was born . \n", " == Early life ==\n\nShe was born.\n"),
        (" = = = Style = = = \n = = = = Door = = = = \n", " === Style ===\n==== Door ====\n"),
        ("at 20 ° C", "at 20°C"),
        ("plain words, untouched", "plain words, untouched"),
    ],
)
def test_detokenising_wikitext(words: str, text: str) -> None:
    assert wiki("detokenise")(words) == text


def test_lines_become_pages_at_titles_only() -> None:
    lines = [
        "",
        " = A Door = \n",
        "",
        " Text = x = y \n",
        " = = Part = = \n",
        " = = = Deep = = = \n",
        " = B ( b ) = \n",
        " End \n",
    ]
    found = [row["page"] for row in wiki("pages")([{"text": line} for line in lines])]
    assert found == [
        " \n = A Door = \n \n Text = x = y \n = = Part = = \n = = = Deep = = = \n",
        " = B ( b ) = \n End \n",
    ]
    assert list(wiki("pages")([])) == []


@pytest.mark.shared_data
def test_wikitext2_is_62_pages_that_hold_the_whole_text(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(shared_data))
    task = TASKS["wikitext2"]
    data = load_task(task)
    assert len(data.items) == 62
    requests = [prompt.request for prompt in build_prompts(data)]
    original = "".join(r.counted for r in requests if isinstance(r, Rolling))
    assert original == "".join(row["text"] or " \n" for row in task.source.load().rows)
    assert len(original.split()) == 241_211, "the published 245,569 tokens less one end-of-line mark for each line"
    assert len(original.encode()) == 1_256_449, "the size of the released file"
    scored = "".join(r.text for r in requests if isinstance(r, Rolling))
    assert " @-@ " not in scored
    assert 0.9 < len(scored) / len(original) < 1


# All tasks on the real data


HERE = """
    lambada_openai wikitext2 piqa arc_easy openbookqa boolq copa triviaqa webqs multi30k_en_de multi30k_en_fr
    wmt21_en_de wmt21_de_en dialogsum sst2 cola ag_news banking77 lambada_cloze crows_pairs pubmedqa
""".split()


def check(task: Task, prompt: Prompt, shots: int) -> None:
    asked, text = prompt.request, prompt.text()
    assert len(prompt.examples) == shots
    assert all(example.endswith(task.separator) and example.strip() for example in prompt.examples)
    if isinstance(asked, Rolling):
        return
    if task.name == "crows_pairs":  # whole sentences after nothing
        return
    assert text == text.rstrip(), "the answer brings the space"
    assert asked.prompt in text
    if isinstance(asked, Choice):
        assert all(c.startswith(" ") and not c.startswith("  ") for c in asked.continuations)
        assert all(isinstance(c, str) and c.strip() for c in asked.continuations)
    else:
        assert all(isinstance(reference, str) and reference.strip() for reference in asked.references)
        assert len(set(asked.references)) == len(asked.references)
        assert asked.prompt.endswith((":", "="))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", HERE)
def test_real_rows_give_sane_prompts(name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(shared_data))
    task = TASKS[name]
    for shots in (0, 2) if takes_examples(load_task(task)) else (0,):
        data = load_task(task, shots=shots)
        assert data.revision.startswith("sha256:")
        found = build_prompts(replace(data, items=data.items[:50]), shots=shots)
        assert len(found) == 50
        assert len({prompt.hash for prompt in found}) == 50
        for prompt in found:
            check(task, prompt, shots)


@pytest.mark.shared_data
def test_banking77_names_are_in_the_order_of_the_labels(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(shared_data))
    data = load_task(TASKS["banking77"])
    for item, prompt in zip(data.items, build_prompts(data), strict=True):
        name = item["label_text"].lower().replace("_", " ").rstrip("?")
        assert prompt.request.answer == f" {name}"
    assert {item["label"] for item in data.items} == set(range(77))
