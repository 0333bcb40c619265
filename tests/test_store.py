from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import quiet
from coursecorrect.errors import DataError, RunError
from coursecorrect.store import BlockLog, dumps, open_run, read_jsonl, write_jsonl, write_text


def block(key: str, size: int = 2) -> list[dict[str, Any]]:
    return [{"item": key, "row": i, "text": "\u2028 é \ud800"} for i in range(size)]


def blocks(*keys: str) -> bytes:
    return "".join(dumps(row) + "\n" for key in keys for row in block(key)).encode("ascii")


def test_torn_tail_is_cut_back_to_the_last_whole_block_at_every_byte(tmp_path: Path) -> None:
    whole = blocks("a", "b", "c")
    ends = [0, len(blocks("a")), len(blocks("a", "b")), len(whole)]
    path = tmp_path / "rows.jsonl"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        notices: list[str] = []
        log = BlockLog(path, "item", 2, notices.append)
        kept = max(end for end in ends if end <= size)
        assert path.read_bytes() == whole[:kept]
        assert log.done == set("abc"[: ends.index(kept)])
        assert len(notices) == (size != kept)
        assert all(f"cut back {size - kept} bytes" in n and str(path) in n for n in notices)


def test_log_goes_on_after_repair_with_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(blocks("a", "b")[:-5])
    log = BlockLog(path, "item", 2, quiet)
    for key in "bc":
        log.append(block(key))
    assert path.read_bytes() == blocks("a", "b", "c")
    assert log.done == {"a", "b", "c"}


def test_block_of_mixed_keys_or_broken_json_in_the_tail_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    mixed = dumps(block("b")[0]) + "\n" + dumps(block("c")[0]) + "\n"
    for tail in (mixed, '{"item": \n', "[1]\n", '{"other": 1}\n'):
        path.write_bytes(blocks("a") + tail.encode())
        notices: list[str] = []
        log = BlockLog(path, "item", 2, notices.append)
        assert log.done == {"a"}
        assert path.read_bytes() == blocks("a")
        assert len(notices) == 1


def test_half_a_block_is_never_appended(tmp_path: Path) -> None:
    log = BlockLog(tmp_path / "rows.jsonl", "item", 2, quiet)
    with pytest.raises(AssertionError):
        log.append(block("a")[:1])
    assert log.done == set()


def test_other_settings_are_refused_by_the_name_of_the_field(tmp_path: Path) -> None:
    open_run(tmp_path / "run", {"seed": 1, "ks": (10, 20), "judge": "rules"})
    open_run(tmp_path / "run", {"judge": "rules", "ks": [10, 20], "seed": 1})
    with pytest.raises(RunError, match=r"seed: 1 there, 2 now") as caught:
        open_run(tmp_path / "run", {"seed": 2, "ks": (10, 20), "judge": "rules"})
    assert "judge:" not in str(caught.value)
    with pytest.raises(RunError, match="limit: None there, 3 now"):
        open_run(tmp_path / "run", {"seed": 1, "ks": (10, 20), "judge": "rules", "limit": 3})
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 1


def test_rows_without_settings_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "paths.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"no run\.json"):
        open_run(tmp_path, {"seed": 1})
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("bad", ['{"a": 1', "[1, 2]", '"text"', "[" * 100_000, "nonsense"])
def test_broken_line_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n' + bad + "\n")
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path))
    assert str(caught.value).startswith(f"{path}:3: ")
    assert "\n" not in str(caught.value)


def test_missing_file_and_foreign_encoding_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"a": "é"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        list(read_jsonl(path))


@given(st.lists(st.dictionaries(st.text(), st.text(st.characters()), max_size=3), max_size=5))
def test_any_text_comes_back_surrogates_too(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows.append({"text": "\ud800 \udfff \u2028 \x85 \x00 \r"})
    write_jsonl(path, rows)
    assert [row for _, row in read_jsonl(path)] == rows
    assert [n for n, _ in read_jsonl(path)] == list(range(1, len(rows) + 1))


def test_full_disk_keeps_earlier_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    log = BlockLog(path, "item", 2, quiet)
    log.append(block("a"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"disk is full.*earlier rows are kept"):
            log.append(block("b"))
    assert log.done == {"a"}
    assert path.read_bytes().startswith(blocks("a"))
    again = BlockLog(path, "item", 2, quiet)
    assert "a" in again.done


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_device_full_is_a_run_error() -> None:
    log = BlockLog.__new__(BlockLog)
    log.path, log.key, log.block_size, log.done = Path("/dev/full"), "item", 2, set()
    with pytest.raises(RunError, match="disk is full"):
        log.append(block("a"))
    assert log.done == set()


def test_replacing_a_file_leaves_the_old_one_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_text(path, "old")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(RunError, match=r"cannot write .*Permission denied"):
        write_text(path, "new")
    assert path.read_text() == "old"
