"""HELM's run folders: scenario_state.json with requests and answers, per_instance_stats.json with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Failed, Generated, Outcome, Score, Scored
from gpteval.core.types import Choice, Generate, Request
from gpteval.logs.log import BadItem, Log, LogItem, LogModel, LogTask
from gpteval.logs.parsing import document, listing, mapping, named, number, text

STATE, STATS, SPEC = "scenario_state.json", "per_instance_stats.json", "run_spec.json"
_JOINT, _SEPARATE = "multiple_choice_joint", "multiple_choice_separate"
_Key = tuple[str, int]  # of an instance, and a trial of examples


class Helm:
    """The reader. Perturbed instances and all but the first trial of examples are left out, as its tables have them."""

    name = "HELM"

    def files(self, path: Path) -> tuple[Path, ...]:
        if path.is_file():
            return self.files(path.parent) if path.name == STATE else ()
        folders = [path] if (path / STATE).is_file() else [file.parent for file in sorted(path.glob(f"*/{STATE}"))]
        return tuple(folder / name for folder in folders for name in (STATE, STATS, SPEC) if (folder / name).is_file())

    def read(self, files: tuple[Path, ...]) -> Log:
        return Log(self.name, files, self._items([file.parent for file in files if file.name == STATE]))

    @staticmethod
    def _items(folders: Sequence[Path]) -> Iterator[LogItem | BadItem]:
        for folder in folders:
            state = document(folder / STATE)
            spec = document(folder / SPEC) if (folder / SPEC).is_file() else {}
            task, wanted = _task(state, spec), _wanted(spec)
            numbers = _numbers(folder / STATS, wanted) if (folder / STATS).is_file() else {}
            for key, states in _instances(state).items():
                try:
                    yield _item(task, states, numbers.get(key, {}))
                except (ValueError, TypeError, KeyError, IndexError, GptevalError) as error:
                    yield BadItem(task, f"{STATE}, instance {key[0]}", str(error))


def _task(state: Mapping[str, Any], spec: Mapping[str, Any]) -> LogTask:
    adapter = mapping(state.get("adapter_spec"))
    full = str(spec.get("name") or "helm").partition(":")[0]
    arguments = mapping(mapping(spec.get("scenario_spec")).get("args"))
    shots = adapter.get("max_train_instances")
    return LogTask(
        LogModel(str(adapter.get("model") or adapter.get("model_deployment") or "unknown")),
        named("_".join([full, *map(str, arguments.values())])),
        shots if isinstance(shots, int) else 0,
    )


def _wanted(spec: Mapping[str, Any]) -> list[str]:
    """The metrics that the run was to be scored by."""
    found = [mapping(mapping(one).get("args")).get("names") or () for one in listing(spec.get("metric_specs"))]
    return [str(name) for names in found for name in names] or ["exact_match"]


def _numbers(file: Path, wanted: Sequence[str]) -> dict[_Key, dict[str, float]]:
    """Of each instance and trial the metrics' means."""
    found: dict[_Key, dict[str, float]] = {}
    for entry in listing(document(file, of=list)):
        if mapping(entry).get("perturbation"):
            continue
        own = found.setdefault((str(entry.get("instance_id")), entry.get("train_trial_index") or 0), {})
        for stat in listing(entry.get("stats")):
            name = mapping(stat.get("name"))
            if name.get("name") in wanted and not name.get("perturbation") and stat.get("count"):
                own[str(name["name"])] = number(stat["sum"]) / number(stat["count"])
    return found


def _instances(state: Mapping[str, Any]) -> dict[_Key, list[Mapping[str, Any]]]:
    """The requests of each instance: one, or one a reference."""
    found: dict[_Key, list[Mapping[str, Any]]] = {}
    for one in map(mapping, listing(state.get("request_states"))):
        instance, trial = mapping(one.get("instance")), one.get("train_trial_index") or 0
        if not instance.get("perturbation") and trial == 0:
            found.setdefault((str(instance.get("id")), trial), []).append(one)
    return found


def _item(task: LogTask, states: Sequence[Mapping[str, Any]], numbers: Mapping[str, float]) -> LogItem:
    scores = {name: (value, 1.0) for name, value in numbers.items()}
    first = states[0]
    if first.get("output_mapping"):
        request, outcome = _joint(first)
        if isinstance(outcome, Scored):
            right = outcome.scores[request.gold].greedy
            scores = {"acc": (float(right), 1.0)} | scores
    elif first.get("reference_index") is not None:
        request, outcome, metric = _separate(states)
        scores = {metric: scores["exact_match"]} | scores if "exact_match" in scores else scores
    else:
        return LogItem(task, *_generated(first), scores)
    return LogItem(task, request, outcome, scores)


def _joint(state: Mapping[str, Any]) -> tuple[Choice, Outcome]:
    """The choices stand in the prompt, and the answer is a letter."""
    letters = {str(letter): text(of, "a choice") for letter, of in state["output_mapping"].items()}
    right = [text(one["output"]["text"], "a reference") for one in state["instance"]["references"] if _correct(one)]
    gold = _first([of in right for of in letters.values()])
    request = Choice(text(state["request"]["prompt"], "the prompt"), [f" {letter}" for letter in letters], gold)
    answer = _answer(state)
    if answer is None:
        return request, Failed("HELM has no answer")
    chosen = answer.strip()
    return request, Scored(tuple(Score(None, 1, letter == chosen) for letter in letters), text=answer)


def _separate(states: Sequence[Mapping[str, Any]]) -> tuple[Choice, Outcome, str]:
    """Each reference behind the prompt, with its log-probabilities; calibrated ones behind nothing, too."""
    modes: dict[str, dict[int, Mapping[str, Any]]] = {}
    for state in states:
        modes.setdefault(str(state.get("request_mode") or "original"), {})[state["reference_index"]] = state
    asked = [modes["original"][place] for place in sorted(modes["original"])]
    texts = [f" {text(one['output']['text'], 'a reference').strip()}" for one in asked[0]["instance"]["references"]]
    gold = _first([_correct(one) for one in asked[0]["instance"]["references"]])
    whole = text(asked[0]["request"]["prompt"], "the prompt")
    context = whole[: -len(texts[0])] if whole.endswith(texts[0]) else whole
    scores = tuple(_score(state, of) for state, of in zip(asked, texts, strict=True))
    calibrated = modes.get("calibration")
    neutral = tuple(_score(calibrated[n], texts[n]) for n in sorted(calibrated)) if calibrated else ()
    request = Choice(context, texts, gold, "Answer:" if neutral else None)
    return request, Scored(scores, neutral), "acc_uncond" if neutral else "acc_token"


def _score(state: Mapping[str, Any], reference: str) -> Score:
    """Of the tokens at the end that make the reference."""
    tokens, length, total, count = state["result"]["completions"][0]["tokens"], 0, 0.0, 0
    for token in reversed(tokens):
        if length >= len(reference.strip()):
            break
        length, total, count = length + len(token["text"]), total + number(token["logprob"]), count + 1
    return Score(total, max(1, count), False)


def _generated(state: Mapping[str, Any]) -> tuple[Request, Outcome]:
    asked = state["request"]
    right = [text(one["output"]["text"], "a reference") for one in state["instance"]["references"] if _correct(one)]
    stop = tuple(text(one, "a stop string") for one in asked.get("stop_sequences") or () if one)
    request = Generate(
        text(asked["prompt"], "the prompt"), right or [""], stop, max(1, int(asked.get("max_tokens") or 1))
    )
    answer = _answer(state)
    return request, Failed("HELM has no answer") if answer is None else Generated(answer, "stop", 0)


def _first(right: Sequence[bool]) -> int:
    """Raises ValueError."""
    if not any(right):
        raise ValueError("no reference is marked as correct")
    return right.index(True)


def _correct(reference: Mapping[str, Any]) -> bool:
    return "correct" in (reference.get("tags") or ())


def _answer(state: Mapping[str, Any]) -> str | None:
    result = mapping(state.get("result"))
    answers = listing(result.get("completions"))
    return text(answers[0]["text"], "the answer") if result.get("success", True) and answers else None
