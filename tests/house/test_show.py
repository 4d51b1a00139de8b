"""Numbers and names as people read them."""

from __future__ import annotations

import math

import pytest

from gpteval.core.generations import GENERATIONS, generation_of
from gpteval.core.show import listed, number, p_value, points, signed, size, with_shots


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        (None, ""),
        (950_000, "0.9M"),
        (3_400_000, "3.4M"),
        (124_439_808, "124M"),
        (1_557_611_200, "1.6B"),
        (175e9, "175.0B"),
    ],
)
def test_sizes(parameters: int | None, shown: str) -> None:
    assert size(parameters) == shown


def test_numbers() -> None:
    assert [points(0.1234), points(-0.00001), points(-0.05)] == ["+12.3", "+0.0", "-5.0"]
    assert [signed(-1.25), signed(-0.01), signed(3)] == ["−1.2", "0.0", "3.0"]
    assert [p_value(math.nan), p_value(0.0004), p_value(0.05)] == ["n/a", "< 0.001", "0.050"]
    assert [number(math.nan), number(1.23456), number(12.345), number(12345.6)] == ["n/a", "1.235", "12.35", "12346"]


def test_names() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert [with_shots("piqa", 0), with_shots("piqa", 5)] == ["piqa", "piqa, 5-shot"]
    assert [generation_of("gpt2"), generation_of("x"), generation_of(None), generation_of([])] == [
        "gpt2",
        *["other"] * 3,
    ]
    assert GENERATIONS == ("gpt1", "gpt2", "gpt3", "gpt4", "other")
