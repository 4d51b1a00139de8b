"""How long something was under way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpteval.run.spans import Spans

SPAN = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (float(pair[0]), float(sum(pair))))


@given(st.lists(st.lists(SPAN, max_size=8), max_size=5))
def test_each_moment_counts_once_however_they_come(groups: list[list[tuple[float, float]]]) -> None:
    spans = Spans()
    for group in groups:
        spans.add(group)
    under_way = {n for group in groups for begin, end in group for n in range(int(begin), int(end))}
    assert spans.seconds == len(under_way)
    assert bool(spans) == any(groups)


def test_pauses_do_not_count() -> None:
    spans = Spans()
    spans.add([(1e9, 1e9 + 2.0), (1e9 + 1.0, 1e9 + 3.0), (2e9, 2e9 + 0.5)])
    assert spans.seconds == pytest.approx(3.5)
