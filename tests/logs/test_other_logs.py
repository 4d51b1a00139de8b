"""Logs of HELM, Inspect and lighteval: real ones where they are there, and such as tests make up."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpteval
from gpteval.comparison.compare import compare
from gpteval.logs.parsing import LogError
from gpteval.store.documents import read_samples
from gpteval.store.runs import read_runs
from tests.conftest import SHARED, RunCli

HELM = SHARED / "data/logs/helm"
INSPECT = SHARED / "data/logs/inspect/data_arc_qwen.json"


def _rows(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["task"], row["metric"]): dict(row) for row in read_runs(str(path)).merged.rows}


@pytest.fixture(scope="module")
def helm() -> Path:
    if not HELM.is_dir():
        pytest.skip("shared/data/logs is not there, beside the checkout")
    (folder,) = HELM.iterdir()
    return folder


class TestHelm:
    def test_its_exact_match_is_recomputed_from_the_letters(self, helm: Path) -> None:
        rows = _rows(helm)
        stats = json.loads((helm / "per_instance_stats.json").read_text())
        matches = [
            stat["sum"] for one in stats for stat in one["stats"]
            if stat["name"]["name"] == "exact_match" and "perturbation" not in stat["name"]
        ]  # fmt: skip
        assert len(matches) == 10
        acc = rows["mmlu_philosophy", "acc"]
        assert acc["value"] == rows["mmlu_philosophy", "exact_match"]["value"] == sum(matches) / 10
        assert (acc["primary"], acc["chance"], acc["shots"], acc["model"]) == (True, 0.25, 5, "openai/gpt2")
        files = read_runs(str(helm)).merged.samples["mmlu_philosophy", 5]
        assert [row["stats"]["acc"][0] for row in read_samples(files["openai/gpt2"])] == matches

    def test_it_is_asked_again_by_letters(self, helm: Path, in_process: RunCli, tmp_path: Path) -> None:
        run = tmp_path / "run"
        done = in_process("run", "--models", "gpt2-nano", "--tasks", f"log:{helm}", "--out", run, "--no-report")
        assert done.returncode == 0, done.stderr
        (pair,) = compare([str(helm), str(run)]).pairs
        assert (pair.figure.n, pair.shots, pair.metric) == (10, 5, "acc")
        (file,) = (run / "samples").iterdir()
        assert all(row["choices"] == [" A", " B", " C", " D"] for row in read_samples(file))


def _helm(folder: Path, states: list[dict[str, Any]], stats: list[dict[str, Any]], method: str) -> Path:
    folder.mkdir()
    adapter = {"method": method, "model": "openai/davinci", "max_train_instances": 0}
    (folder / "scenario_state.json").write_text(json.dumps({"adapter_spec": adapter, "request_states": states}))
    (folder / "per_instance_stats.json").write_text(json.dumps(stats))
    spec = {"name": "some:x=1", "metric_specs": [{"args": {"names": ["exact_match"]}}], "scenario_spec": {"args": {}}}
    (folder / "run_spec.json").write_text(json.dumps(spec))
    return folder


def _match(instance: str, value: float) -> dict[str, Any]:
    stat = {"name": {"name": "exact_match", "split": "test"}, "count": 1, "sum": value}
    return {"instance_id": instance, "train_trial_index": 0, "stats": [stat]}


def test_helms_texts_and_what_stands_apart(tmp_path: Path) -> None:
    def state(name: str, answer: str, **more: Any) -> dict[str, Any]:
        instance = {
            "id": name,
            "input": {"text": name},
            "references": [{"output": {"text": "yes"}, "tags": ["correct"]}],
        }
        request = {"prompt": f"Is {name}?", "max_tokens": 5, "stop_sequences": ["\n"]}
        return {
            "instance": instance | more, "train_trial_index": 0, "request": request,
            "result": {"success": True, "completions": [{"text": answer}]},
        }  # fmt: skip

    states = [state("a", "yes"), state("b", "no"), state("b", "noo", perturbation={"name": "typos"})]
    states.append(state("a", "maybe") | {"train_trial_index": 1})
    log = _helm(tmp_path / "log", states, [_match("a", 1.0), _match("b", 0.0)], "generation")
    assert {key: (row["value"], row["n"]) for key, row in _rows(log).items()} == {("some", "exact_match"): (0.5, 2)}


def test_helms_separate_choices_have_their_log_probabilities(tmp_path: Path) -> None:
    states = []
    for place, (words, logprobs) in enumerate(((" red fox", [-1.0, -2.0]), (" dog", [-0.5]))):
        tokens = [{"text": "What?", "logprob": -9.0}]
        tokens += [{"text": f" {t}", "logprob": p} for t, p in zip(words.split(), logprobs, strict=True)]
        references = [{"output": {"text": "red fox"}, "tags": []}, {"output": {"text": "dog"}, "tags": ["correct"]}]
        states.append(
            {
                "instance": {"id": "a", "references": references},
                "train_trial_index": 0,
                "reference_index": place,
                "request_mode": "original",
                "request": {"prompt": f"What?{words}"},
                "result": {"success": True, "completions": [{"text": words, "tokens": tokens}]},
            }
        )
    log = _helm(tmp_path / "log", states, [_match("a", 1.0)], "multiple_choice_separate_original")
    (row,) = read_samples(next(iter(read_runs(str(log)).merged.samples["some", 0].values())))
    assert row["logprobs"] == [-3.0, -0.5]
    assert (row["choices"], row["gold"]) == ([" red fox", " dog"], 1)
    assert {key[1] for key in _rows(log)} == {"acc_token", "exact_match"}


def test_a_helm_instance_without_a_right_reference_is_told(tmp_path: Path) -> None:
    def state(name: str, tags: list[str]) -> dict[str, Any]:
        references = [{"output": {"text": "red"}, "tags": tags}, {"output": {"text": "blue"}, "tags": []}]
        return {
            "instance": {"id": name, "references": references},
            "output_mapping": {"A": "red", "B": "blue"},
            "request": {"prompt": f"{name}?"},
            "result": {"success": True, "completions": [{"text": " A"}]},
        }

    states = [state(f"n{n}", ["correct"] if n else []) for n in range(201)]
    log = _helm(tmp_path / "log", states, [], "multiple_choice_joint")
    row = _rows(log)["some", "acc"]
    assert (row["n"], row["value"]) == (200, 1.0)
    assert any("instance n0: no reference is marked as correct" in note for note in row["notes"])


def test_inspects_accuracy_is_recomputed() -> None:
    if not INSPECT.is_file():
        pytest.skip("shared/data/logs is not there, beside the checkout")
    said = json.loads(INSPECT.read_text())["results"]["scores"][0]["metrics"]["accuracy"]["value"]
    row = _rows(INSPECT)["arc_easy", "acc"]
    assert (row["value"], row["n"], row["chance"]) == (pytest.approx(said), 3, 0.25)
    assert row["model"] == "ollama/qwen2.5:0.5b"


def _inspect(samples: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    about = {"task": "org/quiz", "model": "some/model", "packages": {"inspect_ai": "0.3.1"}, "config": more}
    return {"version": 2, "status": "success", "eval": about, "samples": samples}


def _sample(name: object, answer: str, value: object, epoch: int = 1) -> dict[str, Any]:
    output = {"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": answer}]}}]}
    return {"id": name, "epoch": epoch, "input": f"Say {name}", "target": "yes", "output": output,
            "scores": {"match": {"value": value, "answer": answer}}}  # fmt: skip


def test_an_archive_of_inspect_says_what_its_json_says(tmp_path: Path) -> None:
    samples = [
        _sample(1, "yes", "C"),
        _sample(2, "no", "I"),
        _sample(3, "well", "P"),
        _sample(4, "?", {"x": 1, "y": "z"}),
    ]
    whole = _inspect(samples)
    (tmp_path / "log.json").write_text(json.dumps(whole))
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({key: value for key, value in whole.items() if key != "samples"}))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    found = [_rows(tmp_path / name) for name in ("log.json", "log.eval")]
    assert found[0]["quiz", "match"]["value"] == pytest.approx(0.5)
    for key, row in found[0].items():
        assert {k: v for k, v in found[1][key].items() if k != "notes"} == {
            k: v for k, v in row.items() if k != "notes"
        }


def test_samples_that_tell_too_little_are_counted(tmp_path: Path) -> None:
    bad = [{"input": None}, {"input": [{"role": "user", "content": None}]}, {"target": None}, {"scores": {"match": 5}}]
    samples = [_sample(n, "yes", "C") for n in range(400)] + [_sample("bad", "yes", "C") | one for one in bad]
    several = {"choices": ["red", "blue", "green"], "target": "AB"}  # more than one is right: no choice of one letter
    samples.append(_sample("several", "A and B", "C") | several)
    (tmp_path / "log.json").write_text(json.dumps(_inspect(samples)))
    row = _rows(tmp_path / "log.json")["quiz", "match"]
    assert (row["n"], row["value"]) == (402, 1.0)
    assert any(note.startswith("3 items of the log cannot be read: log.json, sample 401") for note in row["notes"])


def test_several_epochs_are_one_item_with_their_mean(tmp_path: Path) -> None:
    samples = [_sample(n, "yes", "C" if epoch == 1 or n == 1 else "I", epoch) for n in (1, 2) for epoch in (1, 2)]
    (tmp_path / "log.json").write_text(json.dumps(_inspect(samples, epochs=2)))
    row = _rows(tmp_path / "log.json")["quiz", "match"]
    assert (row["n"], row["value"]) == (2, 0.75)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda archive: archive.writestr("samples/../../evil.json", "{}"), "Say|no number|holds|KeyError|item"),
        (lambda archive: archive.writestr("samples/2_epoch_1.json", b"0" * (20 * 2**20)), "once it is unpacked"),
        (lambda archive: archive.writestr("samples/2_epoch_1.json", "{"), "samples/2_epoch_1.json is not JSON"),
    ],
)
def test_hostile_archives(tmp_path: Path, damage: Any, told: str) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(_inspect([])))
        archive.writestr("samples/1_epoch_1.json", json.dumps(_sample(1, "yes", "C")))
        damage(archive)
    with pytest.raises(gpteval.GptevalError, match=told):
        read_runs(str(tmp_path / "log.eval"))
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["log.eval"]


def test_another_packing_is_told_with_the_way_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("header.json", json.dumps(_inspect([])))
    with pytest.raises(LogError, match="inspect log convert"):
        read_runs(str(tmp_path / "log.eval"))


def _as_zstandard(path: Path, sizes: dict[str, int]) -> None:
    """Say of parts that were packed already that they are packed so, in both places in which a zip file says it."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    for info in infos:
        data[info.header_offset + 8 : info.header_offset + 10] = (93).to_bytes(2, "little")
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        name = bytes(data[at + 46 : at + 46 + int.from_bytes(data[at + 28 : at + 30], "little")]).decode()
        data[at + 10 : at + 12] = (93).to_bytes(2, "little")
        data[at + 24 : at + 28] = sizes[name].to_bytes(4, "little")
        at += 46
    path.write_bytes(data)


@pytest.mark.parametrize("whole", [True, False])
def test_archives_packed_by_zstandard_are_read(tmp_path: Path, whole: bool) -> None:
    parts = {"header.json": _inspect([])} | {
        f"samples/{n}_epoch_1.json": _sample(n, "yes", "C" if n < 3 else "I") for n in range(4)
    }
    sizes = {}
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        for name, part in parts.items():
            text = json.dumps(part).encode()
            sizes[name] = len(text)
            packed = pa.compress(text, codec="zstd", asbytes=True)
            archive.writestr(name, packed if whole or name == "header.json" else packed[:-5])
    _as_zstandard(tmp_path / "log.eval", sizes)
    if whole:
        assert _rows(tmp_path / "log.eval")["quiz", "match"]["value"] == 0.75
        return
    with pytest.raises(LogError, match="cannot be unpacked"):
        read_runs(str(tmp_path / "log.eval"))


def test_lightevals_details(tmp_path: Path) -> None:
    folder = tmp_path / "details/org__model/2026-01-02T03-04-05"
    folder.mkdir(parents=True)
    rows = [
        {
            "__doc__": {"query": f"Q{n}:", "choices": [" a", " b"], "gold_index": [n % 2]},
            "__model_response__": {"logprobs": [-1.0, -2.0], "text": []},
            "__metric__": {"acc": float(n % 2 == 0), "acc_norm": 1.0},
        }
        for n in range(6)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "details_leaderboard|arc:easy|25_2026-01-02T03-04-05.parquet")
    found = _rows(tmp_path)
    assert {key: row["value"] for key, row in found.items()} == {
        ("arc-easy", "acc"): 0.5,
        ("arc-easy", "acc_char"): 1.0,
    }
    assert found["arc-easy", "acc"]["shots"] == 25
