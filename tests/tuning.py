"""Tasks that can be learned, and a tiny model to tune for them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import transformers

from gpteval.models.catalogue import resolve_models
from gpteval.models.loader import LoadOptions
from gpteval.tasks.registry import task_registry
from gpteval.tune.settings import Settings
from gpteval.tune.training import tune
from gpteval.tune.tuned_info import Tuned

TASKS = '''
from gpteval import Choice, Generate, Rolling, file, task

ROWS = file("test.jsonl", train="train.jsonl")
SAME = file("train.jsonl", train="train.jsonl")

@task(family="classification", source=ROWS, shots_from="train", metric="acc_char", metrics=["macro_f1"])
def fox(item):
    """Whether there is a fox."""
    return Choice(f"{item['text']}\\nA fox?", [" no", " yes"], gold=item["fox"])

@task(family="qa", source=ROWS, shots_from="train", metric="acc")
def which(item):
    """Which is the fox."""
    return Choice(item["text"], [f" the {name}" for name in item["names"]], gold=item["right"])

@task(family="classification", source=SAME, shots_from="train", metric="acc")
def again(item):
    """The rows that the first task trains on, evaluated."""
    return Choice(f"{item['text']}\\nA fox?", [" no", " yes"], gold=item["fox"])

@task(family="classification", source=ROWS, metric="acc")
def no_split(item):
    return Choice(item["text"], [" no", " yes"], gold=item["fox"])

@task(family="classification", source=ROWS, shots_from="other", metric="acc")
def lost_split(item):
    return Choice(item["text"], [" no", " yes"], gold=item["fox"])

@task(family="classification", source=ROWS, shots_from="train", metric="acc")
def one_class(item):
    return Choice(item["text"], [" no", " yes"], gold=0)

@task(family="classification", source=ROWS, shots_from="train", metric="acc")
def unlabelled(item):
    return Choice(item["text"], [" no", " yes"], gold=item["label"])

@task(family="classification", source=ROWS, shots_from="train", metric="acc")
def long(item):
    return Choice(item["text"] * 20, [" no", " yes"], gold=item["fox"])

@task(family="qa", source=ROWS, shots_from="train", metric="exact_match")
def says(item):
    return Generate(f"{item['text']}\\nA fox?", ["yes" if item["fox"] else "no"], max_new_tokens=6)

@task(family="lm", source=ROWS, shots_from="train", metric="bits_per_byte")
def texts(item):
    return Rolling(item["text"])
'''
ANIMALS = ["fox", "dog", "man", "sky"]


def write_tasks(folder: Path) -> Path:
    """The tasks, and their rows, in a folder."""
    (folder / "things.py").write_text(TASKS)
    draw = random.Random(0)
    for split, count in (("train", 200), ("test", 60)):
        rows = []
        for number in range(count):
            animal = draw.choice(ANIMALS)
            right = draw.randrange(3)
            names = ["dog", "sky"]
            names.insert(right, "fox")
            text = f"the {animal} jumps over number {number if split == 'train' else number + 1000}"
            label = draw.randrange(2) if number % 4 else -1
            row = {"text": text, "fox": int(animal == "fox"), "names": names, "right": right, "label": label}
            rows.append(row)
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def tuned(base: Path, task_dir: Path, name: str, out: Path, **settings: Any) -> Tuned:
    """A model tuned for the task of that name."""
    (info,) = resolve_models([str(base)])
    task = task_registry((task_dir,))[name]
    return tune(info, task, out, Settings(**{"learning_rate": 1e-2, **settings}), LoadOptions(device="cpu"))


def causal(folder: Path) -> Any:
    """Its language model, as transformers loads it."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
