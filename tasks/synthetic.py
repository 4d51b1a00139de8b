"""GPT-3's own small tests (Brown et al. 2020, section 3.9): sums, made by the paper's rules, and shuffled words."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gpteval import Choice, Generate, Item, Task, generated, hub, task

ITEMS = 2000  # of each sum, as in the paper
Rule = Callable[[random.Random], tuple[str, int]]


def _sums(sign: str, digits: int) -> Rule:
    """Two numbers of up to so many digits, each from 0 on with equal chance."""

    def make(generator: random.Random) -> tuple[str, int]:
        a, b = generator.randrange(10**digits), generator.randrange(10**digits)
        return f"{a} {sign} {b}", a + b if sign == "plus" else a - b

    return make


def _product(generator: random.Random) -> tuple[str, int]:
    a, b = generator.randrange(100), generator.randrange(100)
    return f"{a} times {b}", a * b


def _composite(generator: random.Random) -> tuple[str, int]:
    """Three numbers of one digit and two signs, the first two in brackets, as in the released data."""
    a, b, c = (generator.randrange(10) for _ in range(3))
    first, second = generator.choice("+-*"), generator.choice("+-*")
    apply: dict[str, Callable[[int, int], int]] = {
        "+": lambda x, y: x + y,
        "-": lambda x, y: x - y,
        "*": lambda x, y: x * y,
    }
    return f"({a} {first} {b}) {second} {c}", apply[second](apply[first](a, b), c)


RULES: dict[str, tuple[Rule, str]] = {
    "1dc": (_composite, "three numbers of one digit, with brackets"),
    "2dm": (_product, "products of two numbers of up to two digits"),
}
for _digits in (2, 3, 4, 5):
    RULES[f"{_digits}da"] = (_sums("plus", _digits), f"sums of two numbers of up to {_digits} digits")
    RULES[f"{_digits}ds"] = (_sums("minus", _digits), f"differences of two numbers of up to {_digits} digits")


def _made(name: str, split: str) -> Iterator[dict[str, Any]]:
    generator = random.Random(f"{name} {split}")
    for _ in range(ITEMS):
        asked, result = RULES[name][0](generator)
        yield {"asked": asked, "result": result}


def _arithmetic(name: str) -> Task:
    def prompt(item: Item) -> Choice:
        return Choice(f"Q: What is {item['asked']}?\n\nA:", [f" {item['result']}"], gold=0)

    prompt.__doc__ = f"Arithmetic: {RULES[name][1]}, the whole answer greedily (GPT-3 paper, section 3.9.1)."
    declare = task(
        name=f"arithmetic_{name}",
        family="qa",
        source=generated(partial(_made, name), revision="1"),
        metric="acc_greedy",
        licence="none needed: made by rules",
        suites=["arithmetic"],
    )
    return declare(prompt)


ARITHMETIC = [_arithmetic(name) for name in RULES]

WORDS = {
    "cycle_letters": ("cycle_letters_in_word", "its letters moved around in a circle"),
    "anagrams1": ("mid_word_1_anagrams", "all letters shuffled but the first and the last"),
    "anagrams2": ("mid_word_2_anagrams", "all letters shuffled but the first and last two"),
    "random_insertion": ("random_insertion_in_word", "a mark or space after each letter"),
    "reversed_words": ("reversed_words", "the word backwards"),
}


def _unscramble(name: str) -> Task:
    config, told = WORDS[name]

    def prompt(item: Item) -> Generate:
        return Generate(item["context"].strip("\n"), [item["completion"].strip()], max_new_tokens=16)

    prompt.__doc__ = f"Find a word again: {told} (GPT-3 paper, section 3.9.2)."
    declare = task(
        name=f"unscramble_{name}",
        family="qa",
        source=hub("EleutherAI/unscramble", config, split="validation"),
        metric="exact_match",
        separator="\n",
        preamble="Please unscramble the letters into a word, and write that word:\n",
        licence="not stated; for research use",
        suites=["unscramble"],
    )
    return declare(prompt)


UNSCRAMBLE = [_unscramble(name) for name in WORDS]
