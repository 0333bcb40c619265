"""Two processes end where one does: whole copies, and in pieces (FSDP) as on many GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from conftest import quiet, synthesised
from coursecorrect.errors import UserError
from coursecorrect.models import ModelSettings
from coursecorrect.train.recipe import ACCELERATE, TrainSettings
from coursecorrect.train.run import read_pairs, train

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesised(tmp_path_factory.mktemp("pairs"), pairs=8, validation=0.35)


def first_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text().splitlines()[0])
    return found


def launched(kind: str, place: Path, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """``c2 train`` in two processes on CPUs, by the file of the package."""
    config = yaml.safe_load(ACCELERATE.read_text())
    config |= {"num_processes": 2, "mixed_precision": "no", "use_cpu": True}
    config["fsdp_config"]["fsdp_sync_module_states"] = False  # asks for a GPU
    if kind == "copies":
        # MULTI_CPU starts one process alone.
        config |= {"distributed_type": "MULTI_GPU", "fsdp_config": {}}
    (place / "accelerate.yaml").write_text(yaml.safe_dump(config))
    program = BIN / "c2" if kind == "copies" else Path(__file__).with_name("in_pieces.py")
    command = [BIN / "accelerate", "launch", "--config_file", place / "accelerate.yaml", program]
    return subprocess.run(
        [str(part) for part in (*command, "train", *arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["copies", "pieces"])
def test_two_processes_end_where_one_does(
    kind: str, pairs_folder: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    groups = {row["group"] for row in read_pairs(pairs_folder)}
    assert len(groups) % 6 == 0  # else the last step of two processes sees a group twice
    settings = TrainSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"),
        epochs=2,
        batch_size=6,
        learning_rate=1e-3,
        start_share=0.1,
        eval_steps=2,
        save_steps=2,
    )
    train(settings, pairs_folder, tmp_path / "one", notice=quiet, progress=quiet)
    done = launched(
        kind, tmp_path, pairs_folder, "--model", tiny_model_folder, "--device", "cpu",
        "--epochs", 2, "--batch-size", 6, "--learning-rate", 1e-3, "--start-share", 0.1,
        "--eval-steps", 2, "--save-steps", 2,
        "--out", tmp_path / "two",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "two" / "reference-1.jsonl").exists()  # a second process was there
    one, two = (load_file(tmp_path / name / "model/model.safetensors") for name in ("one", "two"))
    start = load_file(tiny_model_folder / "model.safetensors")
    assert one.keys() == two.keys()
    moved = max(float((one[name] - start[name]).abs().max()) for name in one)
    apart = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert apart < 0.01 * moved
    logs = [first_of(tmp_path / name / "log.jsonl") for name in ("one", "two")]
    figures = [first_of(tmp_path / name / "validation.jsonl")["all"] for name in ("one", "two")]
    assert logs[0].keys() == logs[1].keys()
    for name in ("loss", "harmful/nll", "benign/divergence", "harmful/margin"):
        assert logs[0][name] == pytest.approx(logs[1][name], rel=1e-3, abs=1e-5), name
    assert figures[0]["margin"] == pytest.approx(figures[1]["margin"], rel=1e-3)
    config = json.loads((tmp_path / "two/model/config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]


@pytest.mark.slow
def test_a_proof_by_several_processes_is_refused_before_training(
    pairs_folder: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    done = launched(
        "copies", tmp_path, pairs_folder, "--model", tiny_model_folder, "--device", "cpu",
        "--batch-size", 6, "--prove", "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode != 0
    assert "c2: --prove works with one process" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    from coursecorrect.train.run import _check_team

    with pytest.raises(UserError, match=r"--batch-size 3 .*multiple of 2"):
        _check_team(TrainSettings(batch_size=3), 2)
