from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import CHATML, made_up_items, make_tokenizer, write_rows

ItemsFile = Callable[..., Path]
C2 = Path(sys.executable).with_name("c2")
needs_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="the system has no /dev/full"
)


def c2(*arguments: Any, cwd: Path, **changed: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(C2), *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "80"},
        stdout=changed.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
        check=False,
        **changed,
    )


def fault(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr."""
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("c2: ")
    assert "Traceback" not in done.stderr
    return lines[0]


TEXT = {"id": "a", "request": "How?", "prefill": "Sure:", "continuation": " take the bread."}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("eval", "--bogus"), "--bogus"),
        (("eval", "--limit", "x"), "'--limit'"),
        (("measure",), "'measure'"),
        (("judge", "run"), "'texts'"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], what: str, tmp_path: Path) -> None:
    line = fault(c2(*arguments, cwd=tmp_path))
    assert what in line
    assert "--help" in line


def test_missing_file(tmp_path: Path) -> None:
    line = fault(c2("judge", "run", "none.jsonl", "--out", "o.jsonl", cwd=tmp_path))
    assert "none.jsonl" in line
    assert "No such file" in line
    assert not (tmp_path / "o.jsonl").exists()


def test_broken_json_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps(TEXT) + "\n" + json.dumps(TEXT) + '\n{"id": "b", \n')
    line = fault(c2("judge", "run", path, "--out", "o.jsonl", cwd=tmp_path))
    assert f"{path}:3: broken JSON" in line


def test_wrong_field_is_named_by_line_and_field(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "texts.jsonl", [TEXT, TEXT | {"continuation": 7}])
    line = fault(c2("judge", "run", path, "--out", "o.jsonl", cwd=tmp_path))
    assert f"{path}:2: field 'continuation'" in line


def test_unknown_judge_is_told_the_nearest(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "texts.jsonl", [TEXT])
    done = c2("judge", "run", path, "--judge", "rulez", "--out", "o.jsonl", cwd=tmp_path)
    line = fault(done)
    assert "did you mean 'rules'" in line


def test_pku_row_without_an_unsafe_response(tmp_path: Path) -> None:
    row = {"prompt": "How?", "response_0": "Sure.", "response_1": "Yes."}
    good = row | {"is_response_0_safe": True, "is_response_1_safe": False}
    bad = row | {"is_response_0_safe": True, "is_response_1_safe": True}
    path = write_rows(tmp_path / "pku.jsonl", [good, bad])
    line = fault(c2("eval", "--data", path, "--out", "run", cwd=tmp_path))
    assert f"{path}:2: no unsafe response" in line
    assert not (tmp_path / "run").exists()


def test_seeds_of_which_none_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"request": "How?"\n[]\n')
    line = fault(c2("synth", "--data", path, "--out", "run", cwd=tmp_path))
    assert f"the first: {path}:1: json: broken JSON" in line
    rejected = (tmp_path / "run" / "rejected" / "seeds.jsonl").read_text().splitlines()
    assert [json.loads(row)["where"] for row in rejected] == [f"{path}:1", f"{path}:2"]


def test_unknown_corrector_and_missing_run(tmp_path: Path) -> None:
    assert "known: hf, openai, template, vllm" in fault(
        c2("synth", "--corrector", "none", cwd=tmp_path)
    )
    assert "not a run folder" in fault(c2("report", "nowhere", cwd=tmp_path))


@pytest.mark.parametrize(
    ("model", "reason"),
    [("./nowhere", "no model folder"), ("nobody/no-such-model", "cannot load the model")],
)
def test_unknown_model(tmp_path: Path, items_file: ItemsFile, model: str, reason: str) -> None:
    done = c2("eval", "--model", model, "--data", items_file(1), "--out", "run", cwd=tmp_path)
    line = fault(done)
    assert reason in line
    assert model in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ks", ["5,x", "0"])
def test_bad_ks(tmp_path: Path, ks: str) -> None:
    assert "--ks" in fault(c2("eval", f"--ks={ks}", cwd=tmp_path))


def test_a_template_that_does_not_continue(
    tmp_path: Path, loaded: Any, items_file: ItemsFile
) -> None:
    folder = tmp_path / "model"
    loaded.model.save_pretrained(folder)
    template = CHATML.replace("message['content']", "message['content'] | upper")
    make_tokenizer(template).save_pretrained(folder)
    done = c2(
        "eval", "--model", folder, "--data", items_file(1), "--ks", "3", "--out", "run",
        cwd=tmp_path,
    )  # fmt: skip
    assert "the chat template changes the assistant's text" in fault(done)
    assert not (tmp_path / "run").exists()


def test_a_pair_without_a_cut(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pairs.jsonl", [{"prompt": [], "chosen": [], "rejected": []}])
    line = fault(c2("train", path, "--out", "run", cwd=tmp_path))
    assert f"{path}:1: field 'cut_chosen' is missing" in line


@needs_full
def test_full_disk_while_judging(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "texts.jsonl", [TEXT])
    (tmp_path / "o.jsonl.tmp").symlink_to("/dev/full")
    line = fault(c2("judge", "run", path, "--out", "o.jsonl", cwd=tmp_path))
    assert "the disk is full" in line
    assert "o.jsonl" in line


@needs_full
def test_full_disk_keeps_what_was_made_and_the_same_command_goes_on(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "items.jsonl", made_up_items(1, "teach"))
    folder = tmp_path / "run"
    (folder / "shards").mkdir(parents=True)
    marker = folder / "shards" / "00000.json.tmp"
    marker.symlink_to("/dev/full")
    done = c2("synth", "--data", data, "--out", folder, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]  # the lines before it tell how far it came
    assert last.startswith("c2: the disk is full")
    seeds = (folder / "seeds" / "00000.jsonl").read_text()
    assert len(seeds.splitlines()) == 3
    marker.unlink()
    done = c2("synth", "--data", data, "--out", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "seeds" / "00000.jsonl").read_text() == seeds
    pairs = [p for f in folder.glob("data/*.jsonl") for p in f.read_text().splitlines()]
    assert len(pairs) == 15 + 2 * 2  # going on is preferred to a correction and to a refusal


@needs_full
def test_full_disk_behind_stdout(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "texts.jsonl", [TEXT])
    with Path("/dev/full").open("w") as full:
        done = c2("judge", "run", path, "--out", "o.jsonl", cwd=tmp_path, stdout=full)
    assert "the disk is full" in fault(done)
