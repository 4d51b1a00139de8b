"""Trainings of tests read little: of a tokenizer's sample the first part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def small_samples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpteval.train.pretrain.TOKENIZER_DOCUMENTS", 500)
        patch.setattr("gpteval.train.windows.ENOUGH_CHARACTERS", 200_000)
        yield
