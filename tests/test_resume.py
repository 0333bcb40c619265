from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import started, tree_bytes

ItemsFile = Callable[..., Path]
DEADLINE = 240.0


def finish(arguments: list[Any], cwd: Path) -> str:
    """Run to the end; what stands on stderr."""
    with started(arguments, cwd) as process:
        status = process.wait(timeout=DEADLINE)
    errors = (cwd / "stderr.txt").read_text()
    assert status == 0, errors
    return errors


def kill_when(arguments: list[Any], cwd: Path, reached: Callable[[], bool]) -> None:
    """Start, and send SIGKILL as soon as ``reached``; the run must still be on its way then."""
    with started(arguments, cwd) as process:
        end = time.monotonic() + DEADLINE
        while not reached():
            assert process.poll() is None, (cwd / "stderr.txt").read_text()
            assert time.monotonic() < end, "the run did not come so far"
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -9


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_killed_measurement_goes_on_to_the_same_bytes(
    tiny_model_folder: Path, items_file: ItemsFile, tmp_path: Path
) -> None:
    items = 36
    command = [
        "eval", "--model", tiny_model_folder, "--device", "cpu", "--data", items_file(items // 3),
        "--ks", "5,10", "--paths", "3", "--max-new-tokens", "24", "--batch-rows", "24", "--out",
    ]  # fmt: skip
    finish([*command, "undisturbed"], tmp_path)
    rows = tmp_path / "killed" / "paths.jsonl"
    each = 4 * 3
    # Twice, and the second time the first kill's rows are there already.
    for blocks in (2, 9):
        kill_when([*command, "killed"], tmp_path, lambda b=blocks: lines(rows) >= b * each)
        assert lines(rows) < items * each
        assert not (tmp_path / "killed" / "results.json").exists()
    torn = rows.read_bytes()
    rows.write_bytes(torn + torn[:200])  # as if the kill had come in the middle of a write
    errors = finish([*command, "killed"], tmp_path)
    assert "note: " in errors
    assert "cut back 200 bytes" in " ".join(errors.split())
    whole = tree_bytes(tmp_path / "undisturbed")
    assert tree_bytes(tmp_path / "killed") == whole
    assert {"paths.jsonl", "verdicts-rules.jsonl", "results.json"} <= set(whole)


def test_a_killed_synthesis_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    command = ["synth", "--limit", 80, "--out"]
    finish([*command, "undisturbed"], tmp_path)
    blocks = tmp_path / "killed" / "shards" / "00000.groups.jsonl"
    kill_when([*command, "killed"], tmp_path, lambda: lines(blocks) >= 3)
    assert not (tmp_path / "killed" / "data").exists()
    finish([*command, "killed"], tmp_path)
    whole = tree_bytes(tmp_path / "undisturbed")
    assert tree_bytes(tmp_path / "killed") == whole
    assert {"data/train-00000.jsonl", "data/train-00000.parquet", "counts.json"} <= set(whole)


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_checkpoint(
    tiny_model_folder: Path, items_file: ItemsFile, tmp_path: Path
) -> None:
    finish(
        ["synth", "--near-duplicates", 1, "--data", items_file(8, "teach"), "--out", "pairs"],
        tmp_path,
    )
    command = [
        "train", "pairs", "--model", tiny_model_folder, "--device", "cpu", "--batch-size", "2",
        "--lora-rank", "2", "--save-steps", "3", "--epochs", "2", "--out",
    ]  # fmt: skip
    finish([*command, "undisturbed"], tmp_path)
    checkpoints = tmp_path / "killed" / "checkpoints"
    kill_when(
        [*command, "killed"],
        tmp_path,
        lambda: any(checkpoints.glob("checkpoint-*/trainer_state.json")),
    )
    assert not (tmp_path / "killed" / "finished").exists()
    errors = finish([*command, "killed"], tmp_path)
    assert "note: going on from" in errors
    assert "checkpoint-" in errors
    assert (tmp_path / "killed" / "finished").exists()
    assert not checkpoints.exists()
    model = "model/model.safetensors"
    whole, resumed = tree_bytes(tmp_path / "undisturbed"), tree_bytes(tmp_path / "killed")
    assert resumed.keys() == whole.keys()
    assert resumed[model] == whole[model]
