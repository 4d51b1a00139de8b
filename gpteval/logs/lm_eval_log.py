"""lm-evaluation-harness with ``--log_samples``, 0.4.3 and later: results_DATE.json and samples_TASK_DATE.jsonl."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpteval.core.blocks import words_of
from gpteval.core.errors import GptevalError
from gpteval.core.outcomes import Generated, Outcome, Rolled, Score, Scored
from gpteval.core.types import Choice, Generate, Request, Rolling
from gpteval.logs.log import BadItem, Log, LogItem, LogModel, LogTask, LogTotal, Numbers
from gpteval.logs.parsing import LogError, document, lines, mapping, named, number, open_log, text

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT\d\d[-:]\d\d[-:]\d\d.*)\.jsonl")
_CHOICE = {
    "acc": "acc",
    "acc_norm": "acc_char",
    "acc_bytes": "acc_byte",
    "acc_mutual_info": "acc_uncond",
    "brier_score": "brier",
}
_TARGET = {"acc": "acc_greedy", "perplexity": "target_perplexity"}
_TEXT = ("word_perplexity", "byte_perplexity", "bits_per_byte")
_CORPUS = ("bleu", "chrf")  # are made of the texts: [reference, text]
_RIGHT = ("acc_greedy", "acc", "acc_char", "exact_match")  # what counts where a log has several


class LmEval:
    """The reader. Samples without a results file beside them are of a model of their folder's name; of a task that was
    run on several dates the last one counts.
    """

    name = "lm-eval"

    def files(self, path: Path) -> tuple[Path, ...]:
        """Samples; of a folder that has none, its results."""
        if path.is_file():
            return (path,) if _SAMPLES.fullmatch(path.name) or _is_results(path) else ()
        for pattern in ("samples_*.jsonl", "*/samples_*.jsonl", "results_*.json", "*/results_*.json"):
            found = [file for file in sorted(path.glob(pattern)) if _SAMPLES.fullmatch(file.name) or _is_results(file)]
            if found:
                return _last_dates(found)
        return ()

    def read(self, files: tuple[Path, ...]) -> Log:
        samples = [file for file in files if _SAMPLES.fullmatch(file.name)]
        results = {folder: _results(folder) for folder in {file.parent for file in files}}
        alone = [results[file.parent][file.name] for file in files if file not in samples]
        every = [doc for docs in results.values() for doc in docs.values()]
        versions = {str(doc["lm_eval_version"]) for doc in every if doc.get("lm_eval_version")}
        harness = f"{self.name} {', '.join(sorted(versions))}" if versions else self.name
        read = tuple(folder / name for folder, docs in results.items() for name in docs)
        totals = tuple(total for doc in alone for total in _totals(doc))
        return Log(harness, tuple(dict.fromkeys((*files, *read))), self._items(samples, results), totals)

    @staticmethod
    def _items(files: Sequence[Path], results: Mapping[Path, Mapping[str, Any]]) -> Iterator[LogItem | BadItem]:
        for file in files:
            name = _SAMPLES.fullmatch(file.name)
            assert name is not None
            said = results[file.parent].get(f"results_{name['date']}.json", {})
            tasks = _Tasks(file.parent.name, name["task"], said)
            for where, line in lines(file):
                task = tasks.of(line)
                try:
                    yield _item(task, line)
                except (ValueError, TypeError, KeyError, IndexError, GptevalError) as error:
                    yield BadItem(task, where, str(error))


def _last_dates(files: Sequence[Path]) -> tuple[Path, ...]:
    """Of each folder's tasks, and of its results, the file of the last date: they sort by it."""
    last: dict[tuple[Path, str], Path] = {}
    for file in files:
        name = _SAMPLES.fullmatch(file.name)
        last[file.parent, name["task"] if name else ""] = file
    return tuple(last.values())


def _is_results(file: Path) -> bool:
    if file.suffix != ".json" or not file.name.startswith("results_"):
        return False
    with open_log(file) as handle:
        return b'"results"' in handle.read(4096)


def _totals(said: Mapping[str, Any]) -> Iterator[LogTotal]:
    """What a results file says of its tasks, where their samples were not kept."""
    for name in mapping(said.get("results")):
        tasks = _Tasks("unnamed", str(name), said)
        taken = mapping(mapping(said.get("n-samples")).get(name)).get("effective")
        for by in sorted(tasks.filters):
            yield LogTotal(tasks.of({"filter": by}), taken if isinstance(taken, int) else 0)


class _Tasks:
    """The task of a file, and one of each filter where there are several."""

    def __init__(self, folder: str, name: str, said: Mapping[str, Any]) -> None:
        self.name, self.said, self.model = name, said, _model(said, folder)
        self.numbers = mapping(mapping(said.get("results")).get(name))
        keys = [key.split(",", 1) for key in self.numbers if "," in key and "_stderr" not in key]
        self.filters = {key[1] for key in keys}
        self._found: dict[str, LogTask] = {}

    def of(self, line: Mapping[str, Any]) -> LogTask:
        by = str(line.get("filter") or "none")
        if by not in self._found:
            self._found[by] = self._task(by, line)
        return self._found[by]

    def _task(self, by: str, line: Mapping[str, Any]) -> LogTask:
        counts, shots = (mapping(self.said.get(key)).get(self.name) for key in ("n-samples", "n-shot"))
        of, taken = (mapping(counts).get(key) for key in ("original", "effective"))
        higher = mapping(mapping(self.said.get("higher_is_better")).get(self.name))
        names = _names(_kind(line), len(mapping(line.get("arguments"))))
        said = {
            names.get(metric := key.split(",", 1)[0], metric): float(value)
            for key, value in self.numbers.items()
            if key.endswith(f",{by}") and "_stderr" not in key and isinstance(value, int | float)
        }
        several = len(self.filters) > 1 or by != "none"
        return LogTask(
            self.model,
            f"{named(self.name)}:{named(by)}" if several else named(self.name),
            shots if isinstance(shots, int) else 0,
            "lm" if _kind(line) == "rolling" else "qa",
            of if isinstance(of, int) and of != taken else None,
            said,
            {str(metric): bool(more) for metric, more in higher.items() if isinstance(more, bool)},
        )


def _results(folder: Path) -> dict[str, dict[str, Any]]:
    """Of a folder, by their names. Raises LogError for a version whose logs are others."""
    if (folder / "results.json").is_file() and not any(folder.glob("results_*.json")):
        raise LogError(
            f"{folder.name} is of lm-evaluation-harness before 0.4.3, which kept no dates and no hashes of prompts",
            "run it again with a later version",
        )
    return {file.name: document(file) for file in sorted(folder.glob("results_*.json"))}


def _model(said: Mapping[str, Any], folder: str) -> LogModel:
    config = mapping(said.get("config"))
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    name = str(mapping(arguments).get("pretrained") or said.get("model_name") or folder)
    params, dtype = config.get("model_num_parameters"), str(config.get("model_dtype") or "")
    revision = str(config.get("model_sha") or config.get("model_revision") or "")
    local = name.startswith((".", "/", "~")) or name.count("/") != 1
    return LogModel(
        name if not local else Path(name).name or folder,
        "" if local else name,
        revision,
        params if isinstance(params, int) and params > 0 else None,
        dtype.removeprefix("torch."),
    )


def _arguments(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = line.get("arguments")
    if not isinstance(found, dict) or not found:
        raise ValueError("there are no arguments: lm-evaluation-harness before 0.4.3 wrote them as lists")
    return [mapping(one) for one in found.values()]


def _kind(line: Mapping[str, Any]) -> str:
    first = _arguments(line)[0] if isinstance(line.get("arguments"), dict) and line["arguments"] else {}
    further = first.get("arg_1")
    if isinstance(further, dict):
        return "generate"
    return "rolling" if further is None else "choice"


def _item(task: LogTask, line: Mapping[str, Any]) -> LogItem:
    """Raises ValueError, TypeError, KeyError, IndexError or GptevalError for a line that holds no item."""
    kind, arguments = _kind(line), _arguments(line)
    made = {"generate": _generated, "rolling": _rolled, "choice": _chosen}[kind](line, arguments)
    request, outcome, known = made
    scores, left_out = _scores(line, request, outcome, known)
    return LogItem(task, request, outcome, scores, left_out)


def _generated(line: Mapping[str, Any], arguments: Sequence[Mapping[str, Any]]) -> tuple[Request, Outcome, Any]:
    settings = mapping(arguments[0]["arg_1"])
    until = settings.get("until") or ()
    stop = tuple(text(one, "a stop string") for one in ([until] if isinstance(until, str) else until) if one)
    target = line.get("target")
    references = [text(one, "a target") for one in target] if isinstance(target, list) else [str(target)]
    tokens = settings.get("max_gen_toks") or settings.get("max_new_tokens") or 256
    request = Generate(text(arguments[0]["arg_0"], "the context"), references or [""], stop, int(number(tokens)))
    answer = line["resps"][0]
    answer = answer[0] if isinstance(answer, list) else answer
    return request, Generated(text(answer, "the answer"), "stop", 0), {}


def _rolled(line: Mapping[str, Any], arguments: Sequence[Mapping[str, Any]]) -> tuple[Request, Outcome, Any]:
    total = line["resps"][0]
    while isinstance(total, list):
        total = total[0]
    whole = text(arguments[0]["arg_0"], "the text")
    units = {name: number(line[name][1]) for name in _TEXT if isinstance(line.get(name), list)}
    sizes = units.get("word_perplexity"), units.get("byte_perplexity", units.get("bits_per_byte"))
    original = next((one for one in (whole, *mapping(line.get("doc")).values()) if _of_size(one, *sizes)), None)
    request = Rolling(whole, original if original != whole else None, blanks=True)
    loss, counted = -number(total), _size(request.counted)
    words, size = (here if there is None else there for here, there in zip(counted, sizes, strict=True))
    return request, Rolled(-loss, 0), dict.fromkeys(units, (loss, 0.0, float(words), float(size)))


def _size(whole: str) -> tuple[int, int]:
    """Words as the harness counts them, and bytes."""
    return words_of(whole, blanks=True), len(whole.encode())


def _of_size(whole: object, words: float | None, size: float | None) -> bool:
    """Whether that is the text whose words and bytes were counted: another than was read, where that was changed."""
    return isinstance(whole, str) and all(
        there in (None, here) for here, there in zip(_size(whole), (words, size), strict=True)
    )


def _chosen(line: Mapping[str, Any], arguments: Sequence[Mapping[str, Any]]) -> tuple[Request, Outcome, Any]:
    scores = tuple(_score(one) for one in line["resps"])
    if len(scores) != len(arguments):
        raise ValueError(f"{len(scores)} answers to {len(arguments)} requests")
    half = len(arguments) // 2 if "acc_mutual_info" in (line.get("metrics") or ()) else len(arguments)
    contexts, texts = ([text(one[key], key) for one in arguments[:half]] for key in ("arg_0", "arg_1"))
    shared = _common_start(contexts)
    leads = [context[len(shared) :] for context in contexts]
    neutral = text(arguments[half]["arg_0"], "the neutral context") if half < len(arguments) else None
    gold = _gold(line.get("target"), texts)
    request = Choice(shared, texts, gold, neutral, leads if any(leads) else ())
    known = {name: scores for name in ("mcc",) if isinstance(line.get(name), list)}
    return request, Scored(scores[:half], scores[half:]), known


def _common_start(contexts: Sequence[str]) -> str:
    """What all begin with; where they differ (partial evaluation), up to the last word that they share."""
    first, last = min(contexts), max(contexts)
    if first == last:
        return first
    at = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind(" ", 0, at) + 1].rstrip(" ")


def _score(resps: Any) -> Score:
    pair = resps[0] if isinstance(resps[0], list) else resps
    return Score(number(pair[0]), 1, str(pair[1]) in ("True", "1"))


def _gold(target: object, texts: Sequence[str]) -> int:
    """By its index, or by the text that it is."""
    if len(texts) == 1:
        return 0
    if isinstance(target, list):
        target = target[0] if target else None
    bare = [one.strip() for one in texts]
    if str(target).strip() in bare:
        return bare.index(str(target).strip())
    if isinstance(target, int) or (isinstance(target, str) and target.lstrip("-").isdigit()):
        return range(len(texts))[int(target)]
    raise ValueError(f"the target {target!r} is none of the choices")


def _scores(
    line: Mapping[str, Any], request: Request, outcome: Outcome, known: Mapping[str, Any]
) -> tuple[dict[str, Numbers], tuple[str, ...]]:
    """By gpteval's names, what counts first; and the metrics that are left out."""
    from gpteval.metrics.named import metric_registry

    single = isinstance(request, Choice) and len(request.continuations) == 1
    names = _names("choice" if isinstance(request, Choice) else "", 1 if single else 2)
    found: dict[str, Numbers] = {}
    left_out = []
    for metric in line.get("metrics") or ():
        value, name = line.get(metric), names.get(metric, str(metric))
        if name == "target_perplexity":
            found[name] = (number(value), 1.0)
        elif name in _TEXT and name in known:
            found[name] = known[name]
        elif name in known or name in _CORPUS or (name == "brier" and isinstance(value, list)):
            found[name] = metric_registry()[name].stats(request, outcome)
        elif isinstance(value, int | float):
            found[name] = (number(value), 1.0)
        else:
            left_out.append(str(metric))
    first = next((name for name in _RIGHT if name in found), next(iter(found), ""))
    return {name: found[name] for name in sorted(found, key=lambda name: name != first)}, tuple(left_out)


def _names(kind: str, choices: int) -> Mapping[str, str]:
    """gpteval's names of the harness' metrics, where they differ."""
    if kind != "choice":
        return {}
    return _TARGET if choices == 1 else _CHOICE
