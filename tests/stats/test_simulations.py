"""The subjects of ``benchmarks/coverage.py`` run; what they find is told by the benchmark itself."""

import math

import pytest

from benchmarks import of_pairs
from benchmarks.coverage import SUBJECTS, simulate

QUICK = [place for place, subject in enumerate(SUBJECTS) if subject.settings is not of_pairs.corpora]  # 12 s of BLEU


@pytest.mark.parametrize("number", QUICK, ids=[SUBJECTS[place].name for place in QUICK])
def test_a_subject_is_simulated(number: int) -> None:
    _, setting, figures = simulate((number, 0, 1))
    assert setting
    assert figures
    assert all(math.isfinite(figure) for figure in figures.values())
