"""Which queries become a tree: where that saves work, and only there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gpteval.core.types import Prompt, Rolling
from gpteval.engine.engine import Engine
from gpteval.engine.pack import pack
from gpteval.engine.trees import make_trees, most
from gpteval.models.catalogue import ModelInfo
from gpteval.models.loader import HFModel, LoadOptions
from gpteval.tokens.queries import ScoreQuery
from tests.tiny import TEXT, save_tiny, score_row


def test_windows_of_texts_are_no_trees(tmp_path: Path) -> None:
    """All begin with the same token: held against each other, they would cost more than that token alone."""
    info = ModelInfo(name="m", location=str(save_tiny(tmp_path / "m")), local=True)
    prompts = [Prompt(str(n), Rolling(" ".join(TEXT[n:] + TEXT[:n]))) for n in range(4)]
    plan = Engine(HFModel(info, LoadOptions(device="cpu"))).plan(prompts)
    queries = [query for query in plan.queries.values() if isinstance(query, ScoreQuery)]
    assert pack(queries, reach=sys.maxsize).ids.shape[1] == max(query.length for query in queries)


def test_a_tree_ends_where_a_branch_gains_nothing() -> None:
    queries = dict(enumerate(score_row(range(10, 20), [n, *range(50, 80), n]) for n in range(100)))
    trees = make_trees(queries, branching=True)
    assert most(10) == pytest.approx(212.6, abs=0.1)
    assert [len(tree.queries) for tree in trees] == [6] * 16 + [4]
    assert {tree.length for tree in trees[:-1]} == {10 + 6 * 31}
    assert [n for tree in trees for n in tree.queries] == list(queries)


def test_a_branch_is_never_cut_from_a_context_that_is_worth_it() -> None:
    queries = dict(enumerate(score_row(range(300), [n, *range(50, 80), n]) for n in range(20)))
    (tree,) = make_trees(queries, branching=True)
    assert tree.length == 300 + 20 * 31 < most(300)


def test_equal_branches_count_once_and_stay_together() -> None:
    queries = {n: score_row((5, 6), (7, 8, 9, n)) for n in range(500)}
    (tree,) = make_trees(queries, branching=True)
    assert tree.length == 2 + 3
