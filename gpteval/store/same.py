"""Checkpoints that are said to be several and are one: told by the digests of their weights' files.

A repository may serve the same weights under several of its revisions, or one file of several; the curve over training
is then not what it seems.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any

from gpteval.core.text import natural

WEIGHTS = "weights"  # the field of a model's facts: the digest of each of its weights' files, by its name


def same_weights(models: Mapping[str, Mapping[str, Any]], of: Collection[str] | None = None) -> list[str]:
    """Sentences on models, by the facts that a manifest has of them: those of one content, a sentence for all of them;
    and of checkpoints of one training those that have only a part of their files in common. ``of``: those sentences
    alone in which one of these models is.
    """
    wanted = set(models if of is None else of)
    files = _files(models)
    names = sorted(files, key=natural)
    alike: dict[tuple[object, ...], list[str]] = {}
    for name in names:  # one that is asked in its template is not the same as the one that is not
        alike.setdefault((bool(models[name].get("chat")), *sorted(files[name].values())), []).append(name)
    sentences = [
        f"{', '.join(same[:-1])} and {same[-1]} have the same weights: they are one model under {len(same)} names"
        for same in alike.values()
        if len(same) > 1 and wanted & set(same)
    ]
    for one, other in combinations((same[0] for same in alike.values()), 2):
        common = [file for file, digest in files[one].items() if digest in files[other].values()]
        if (
            common
            and wanted & {one, other}
            and models[one].get("family")
            and models[one]["family"] == models[other].get("family")
        ):
            whole = len(files[one])
            sentences.append(
                f"{one} and {other} have {len(common)} of {whole} weight files in common, such as {sorted(common)[0]}: "
                "one of them may not be of the step that it is named after"
            )
    return sentences


def _files(models: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The digests of each model's files. One whose results were there already was not loaded: it has those of the model
    of its fingerprint, or where that was not loaded either, the fingerprint in their place; so has a tuned one, whose
    head is in none of these files.
    """
    loaded = [facts for facts in models.values() if facts.get(WEIGHTS) and not facts.get("finetune")]
    by_fingerprint = {str(facts.get("fingerprint") or ""): facts[WEIGHTS] for facts in loaded}
    found: dict[str, dict[str, str]] = {}
    for name, facts in models.items():
        fingerprint = str(facts.get("fingerprint") or "")
        if facts.get(WEIGHTS) and not facts.get("finetune"):
            found[name] = dict(facts[WEIGHTS])
        elif fingerprint and not fingerprint.startswith("api:"):  # of a server nobody knows what it loads
            found[name] = dict(by_fingerprint.get(fingerprint) or {"": fingerprint})
    return found
