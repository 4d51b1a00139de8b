"""Reading rows: files of every kind, good and bad; local copies of Hub datasets; test sets; generators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpteval.core.errors import DataError
from gpteval.data.sources import Rows, file, generated, hub, read_rows, sacrebleu_set

ROWS = [{"text": "a – b", "label": 0}, {"text": "line\nbreak\u2028inside", "label": 1}]


def jsonl(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def parquet(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_jsonl_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    lines, table = read_rows(jsonl(tmp_path / "a.jsonl"), "a"), read_rows(parquet(tmp_path / "a.parquet"), "a")
    assert lines.rows == table.rows == ROWS
    assert lines.revision != table.revision


def test_the_revision_is_that_of_the_content(tmp_path: Path) -> None:
    one = read_rows(jsonl(tmp_path / "one.jsonl"), "x")
    same = read_rows(jsonl(tmp_path / "two.jsonl"), "x")
    other = read_rows(jsonl(tmp_path / "one.jsonl", ROWS[:1]), "x")
    assert one.revision == same.revision != other.revision
    assert one.revision.startswith("sha256:")


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.none(), min_size=1), min_size=1))
def test_any_text_survives_jsonl(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    assert read_rows(jsonl(path, rows), "x").rows == rows


def test_blank_lines_and_carriage_returns_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\n{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert read_rows(tmp_path / "a.jsonl", "a").rows == [{"a": 1}, {"a": 2}]


def test_a_text_file_is_one_row_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("one\r\n\n two é".encode())
    assert file(tmp_path / "a.txt").load().rows == [{"text": "one\r\n\n two é"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n{"a": "caf\xe9"}\n', "not UTF-8: byte 0xe9 in line 3"),
        ("a.txt", b"\xff\xfe", "not UTF-8: byte 0xff in line 1"),
        ("a.jsonl", b'{"a": 1}\n\n{"a": 2,}\n', "line 3 is not JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a": ', "line 2 is not JSON"),
        ("a.jsonl", b'{"a": 1}\n[1, 2]\n', "line 2 is not a JSON object"),
        ("a.jsonl", b"", "holds no rows"),
        ("a.jsonl", b"\n\n", "holds no rows"),
        ("a.txt", b"", "holds no rows"),
        ("a.parquet", b"", "not a readable Parquet file"),
        ("a.parquet", b"PAR1 and then nonsense", "not a readable Parquet file"),
    ],
)
def test_a_bad_file_says_what_is_wrong_and_where(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_rows(tmp_path / name, f"my {name}")
    assert caught.value.message.startswith(f"my {name}")
    assert str(tmp_path) not in str(caught.value), "no path of the machine in what may be published"


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_large_file_gives_its_rows_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("gpteval.data.lazy_rows.LARGE", 3)
    monkeypatch.setattr("gpteval.data.lazy_rows.PART", 7)
    monkeypatch.setattr("gpteval.data.lazy_rows.BATCH", 2)
    many = [*ROWS, {"text": "", "label": 2}, {"text": "ü" * 20, "label": 3}, {"text": "last", "label": None}]
    rows = read_rows({"jsonl": jsonl, "parquet": parquet}[kind](tmp_path / f"a.{kind}", many), "a").rows
    assert not isinstance(rows, list)
    assert len(rows) == 5
    assert list(rows) == [rows[n] for n in range(5)] == list(rows[:]) == many
    assert (rows[-1], rows[1:3]) == (many[-1], many[1:3])
    with pytest.raises(IndexError):
        _ = rows[5]


def test_a_parquet_file_beyond_memory_is_read_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpteval.data.lazy_rows.LARGE", 0)
    monkeypatch.setattr("gpteval.data.lazy_rows.BATCH", 5)
    monkeypatch.setattr("gpteval.data.files.HELD", 0)
    many = [{"n": n, "text": "x" * n} for n in range(17)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(many), tmp_path / "a.parquet", row_group_size=3)
    rows = read_rows(tmp_path / "a.parquet", "a").rows
    assert list(rows) == many
    assert [rows[n] for n in (16, 0, 3, 2)] == [many[n] for n in (16, 0, 3, 2)]
    assert rows[-9:-2] == many[-9:-2]


def test_a_bad_line_of_a_large_file_is_found_where_it_is_asked_for_and_a_cut_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpteval.data.lazy_rows.LARGE", 1)
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n\n{"a": 2,}\n{"a": 3}\n')
    rows = read_rows(tmp_path / "a.jsonl", "a").rows
    assert (rows[0], rows[2]) == ({"a": 1}, {"a": 3})
    with pytest.raises(DataError, match="a, line 3 is not JSON"):
        _ = rows[1]
    (tmp_path / "b.jsonl").write_bytes(b'{"a": 1}\n{"a": 2}\n{"a": 3')
    with pytest.raises(DataError, match="b, line 3 is not JSON"):
        read_rows(tmp_path / "b.jsonl", "b")


def test_an_empty_parquet_file_holds_no_rows(tmp_path: Path) -> None:
    table = pyarrow.table({"text": pyarrow.array([], pyarrow.string())})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="a holds no rows"):
        read_rows(tmp_path / "a.parquet", "a")


def test_a_missing_file_and_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read gone.jsonl: No such file"):
        file(tmp_path / "gone.jsonl").load()
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(DataError, match=r"cannot read folder.jsonl: Is a directory"):
        file(tmp_path / "folder.jsonl").load()


def test_further_splits_of_a_file(tmp_path: Path) -> None:
    source = file(jsonl(tmp_path / "test.jsonl"), train=jsonl(tmp_path / "pool.jsonl", ROWS[:1]))
    assert source.label == "test.jsonl"
    assert source.load().rows == ROWS
    assert source.load("train").rows == ROWS[:1]
    with pytest.raises(DataError, match=r"test.jsonl has no split 'dev'"):
        source.load("dev")


def test_a_local_copy_by_dataset_config_and_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path))
    jsonl(tmp_path / "org/name/default/test.jsonl")
    parquet(tmp_path / "org/name/small/train.parquet", ROWS[:1])
    jsonl(tmp_path / "org/name/small/train.jsonl", ROWS[1:])
    assert hub("org/name", split="test").load().rows == ROWS
    assert hub("org/name", "small", split="test").load("train").rows == ROWS[:1], "Parquet goes first"
    assert hub("org/name", "small", split="train").label == "org/name small train"
    with pytest.raises(DataError, match=r"org/name/small/test(.|\n)*GPTEVAL_DATA"):
        hub("org/name", "small", split="test").load()


def test_a_data_folder_that_does_not_exist_is_an_error_not_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path / "absent"))
    with pytest.raises(DataError, match="GPTEVAL_DATA names a folder that does not exist"):
        hub("org/name", split="test").load()


def test_test_sets_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sacrebleu

    (tmp_path / "source").write_text("one\ntwo\n")
    (tmp_path / "reference").write_text("eins\nzwei\n")
    monkeypatch.setattr(sacrebleu, "get_source_file", lambda *_: str(tmp_path / "source"))
    monkeypatch.setattr(sacrebleu, "get_reference_files", lambda *_: [str(tmp_path / "reference")])
    source = sacrebleu_set("wmt99", "en-de")
    downloaded = source.load()
    assert source.label == "sacreBLEU wmt99 en-de"
    assert downloaded.rows == [
        {"translation": {"en": "one", "de": "eins"}},
        {"translation": {"en": "two", "de": "zwei"}},
    ]
    with pytest.raises(DataError, match="has a test split only, not 'train'"):
        source.load("train")

    (tmp_path / "reference").write_text("eins\n")
    with pytest.raises(DataError, match="2 sources but 1 references"):
        source.load()

    def unreachable(*_: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(sacrebleu, "get_source_file", unreachable)
    with pytest.raises(DataError, match=r"cannot download sacreBLEU wmt99/en-de: no network\n.*GPTEVAL_DATA/wmt/wmt99"):
        source.load()

    monkeypatch.setenv("GPTEVAL_DATA", str(tmp_path))
    jsonl(tmp_path / "wmt/wmt99/en-de/test.jsonl", [{"translation": {"en": "a", "de": "b"}}])
    assert source.load().rows == [{"translation": {"en": "a", "de": "b"}}]


def test_a_generator_knows_its_split() -> None:
    source = generated(lambda split: ({"text": f"{split} {n}"} for n in range(2)), revision="7")
    assert source.load() == Rows([{"text": "test 0"}, {"text": "test 1"}], "7", "generated test")
    assert source.load("train").rows[0] == {"text": "train 0"}
    with pytest.raises(DataError, match="generated test holds no rows"):
        generated(lambda split: [], revision="1").load()
