"""GPT-3's own small tests (Brown et al. 2020, section 3.9): sums and shuffled words, made by the paper's rules."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
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
    made = declare(prompt)

    @made.as_in("lm-eval", source=hub("EleutherAI/arithmetic", f"arithmetic_{name}", split="validation"))
    def _(item: Item) -> Choice:
        text = item["context"].strip().replace("\n\n", "\n").replace("Q:", "Question:").replace("A:", "Answer:")
        return Choice(text, [item["completion"]], gold=0)

    made.as_in("paper", shots=50)(prompt)
    return made


ARITHMETIC = [_arithmetic(name) for name in RULES]

WORDS = (Path(__file__).parent / "words.txt").read_text().split()  # of five letters and more in Python's manual
Scramble = Callable[[str, random.Random], str]


def _cycle(word: str, generator: random.Random) -> str:
    at = generator.randrange(1, len(word))
    return word[at:] + word[:at]


def _anagram(word: str, generator: random.Random, *, ends: int) -> str:
    """All letters in another order, but ``ends`` of them at each end."""
    middle = list(word[ends:-ends])
    generator.shuffle(middle)
    return word[:ends] + "".join(middle) + word[-ends:]


def _insertion(word: str, generator: random.Random) -> str:
    return word[0] + "".join(generator.choice("./! ") + letter for letter in word[1:])


def _reversed(word: str, _: random.Random) -> str:
    return word[::-1]


SCRAMBLES: dict[str, tuple[Scramble, str]] = {
    "cycle_letters": (_cycle, "its letters moved around in a circle"),
    "anagrams1": (partial(_anagram, ends=1), "all letters shuffled but the first and the last"),
    "anagrams2": (partial(_anagram, ends=2), "all letters shuffled but the first and last two"),
    "random_insertion": (_insertion, "a mark or space after each letter"),
    "reversed_words": (_reversed, "the word backwards"),
}


RELEASED = {
    "cycle_letters": "cycle_letters_in_word",
    "anagrams1": "mid_word_1_anagrams",
    "anagrams2": "mid_word_2_anagrams",
    "random_insertion": "random_insertion_in_word",
    "reversed_words": "reversed_words",
}


def _scrambled(name: str, split: str) -> Iterator[dict[str, Any]]:
    """Each word that the scramble changes, once."""
    generator = random.Random(f"{name} {split}")
    for word in generator.sample(WORDS, len(WORDS)):
        scrambled = SCRAMBLES[name][0](word, generator)
        if scrambled != word:
            yield {"scrambled": scrambled, "word": word}


def _unscramble(name: str) -> Task:
    def prompt(item: Item) -> Generate:
        return Generate(f"{item['scrambled']} =", [item["word"]], max_new_tokens=16)

    prompt.__doc__ = f"Find a word again: {SCRAMBLES[name][1]} (GPT-3 paper, section 3.9.2), with words of our own."
    declare = task(
        name=f"unscramble_{name}",
        family="qa",
        source=generated(partial(_scrambled, name), revision="1"),
        metric="exact_match",
        separator="\n",
        preamble="Please unscramble the letters into a word, and write that word:\n",
        licence="none needed: made by rules",
        suites=["unscramble"],
        version=2,
    )
    made = declare(prompt)
    released = hub("EleutherAI/unscramble", RELEASED[name], split="validation")
    changes = {"preamble": "", "separator": "\n\n", "metric": "exact_match_verbatim", "evaluates_validation": False}

    @made.as_in("lm-eval", source=released, **changes)
    def _(item: Item) -> Generate:
        return Generate(item["context"], [item["completion"]], max_new_tokens=256)

    made.as_in("paper", shots=100)(prompt)
    return made


UNSCRAMBLE = [_unscramble(name) for name in SCRAMBLES]
