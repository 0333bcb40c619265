from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ALIKE, made_up_items, quiet, synthesised, write_rows
from coursecorrect.chat import ChatSettings
from coursecorrect.errors import DataError, UserError
from coursecorrect.models import ModelSettings
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.settings import PairSettings
from coursecorrect.train.groups import token_groups
from coursecorrect.train.packing import pack
from coursecorrect.train.recipe import (
    ACCELERATE,
    TrainSettings,
    explained,
    read_recipe,
    recipe_names,
)
from coursecorrect.train.run import plan, read_pairs
from coursecorrect.types import nested
from coursecorrect.workflow import make_pairs

C2 = Path(sys.executable).with_name("c2")


def c2(*arguments: Any, status: int = 0) -> str:
    done = subprocess.run(
        [str(C2), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesised(tmp_path_factory.mktemp("pairs"), pairs=8, validation=0.25)


def test_there_is_a_recipe_for_each_machine_and_for_the_models_of_the_paper() -> None:
    names = ["7b-full-fsdp", "7b-lora", "llama2-chat-7b", "qwen2-7b", "smollm2-cpu"]
    assert recipe_names() == names
    assert yaml.safe_load(ACCELERATE.read_text())["distributed_type"] == "FSDP"


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_explains_itself_as_a_file_that_says_the_same(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    path = tmp_path / "mine.yaml"
    path.write_text(text := explained(recipe))
    assert read_recipe(str(path)) == recipe
    assert text.count("  # ") == len(recipe.settings)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_checked_without_its_weights(
    name: str, pairs_folder: Path, tiny_model_folder: Path, tokenizer: Any
) -> None:
    chosen = read_recipe(name).settings | {"model": str(tiny_model_folder)}
    settings = TrainSettings.model_validate(nested(TrainSettings, chosen))
    counts = plan(settings, pairs_folder)
    groups = token_groups(tokenizer, read_pairs(pairs_folder), ChatSettings(), 1024)
    assert counts["groups"] == len(groups)
    assert counts["harmful groups"] == sum(g.harmful for g in groups)
    assert counts["pairs"] == sum(len(g.pairs) for g in groups)
    assert counts["tokens an epoch, packed"] == sum(pack(g).ids.numel() for g in groups)
    assert counts["steps"] == -(-len(groups) // settings.batch_size)
    assert counts["validation groups"] > 0


def test_flags_override_the_recipe(pairs_folder: Path, tiny_model_folder: Path) -> None:
    arguments = ["train", pairs_folder, "--recipe", "7b-lora", "--model", tiny_model_folder]
    usual = c2(*arguments, "--dry-run").splitlines()
    other = c2(*arguments, "--dry-run", "--batch-size", 1, "--epochs", 2).splitlines()
    groups = int(usual[0].removeprefix("groups: "))
    assert usual[-1] == f"steps: {-(-groups // 8)}"
    assert other[-1] == f"steps: {2 * groups}"
    # A flag that says what is the default anyway overrides too.
    assert c2(*arguments, "--dry-run", "--batch-size", 4).splitlines()[-1] == (
        f"steps: {-(-groups // 4)}"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("about: x\nsettings: {epoch: 2}\n", r"mine.yaml: 'epoch' .*'epochs'"),
        ("about: x\nsettings: {epochs: none}\n", r"mine.yaml: epochs: .*integer"),
        ("about: x\nsettings: {loss: hinge}\n", r"mine.yaml: loss: .*'ipo'"),
        ("about: x\nsetting: {}\n", r"mine.yaml: .*'about' and 'settings'"),
        ("- 1\n", r"mine.yaml: .*'about' and 'settings'"),
        ("about: [\n", r"mine.yaml: broken YAML"),
    ],
)
def test_a_wrong_recipe_is_named_with_its_key(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=what):
        read_recipe(str(path))
    with pytest.raises(DataError, match=r"nobody.*smollm2-cpu"):
        read_recipe("nobody")


def test_the_command_shows_the_recipes() -> None:
    assert [line.split(":")[0] for line in c2("recipes").splitlines()] == recipe_names()
    assert yaml.safe_load(c2("recipes", "qwen2-7b"))["settings"]["lora_rank"] == 16
    assert c2("recipes", "--accelerate") == ACCELERATE.read_text()
    assert "nobody" in c2("recipes", "nobody", status=2)


def test_a_list_takes_no_weights(tiny_model_folder: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "items.jsonl", made_up_items(2, "teach"))
    chosen = PairSettings(weights="margin")
    settings = SynthSettings(data=str(data), validation=0, seeds=ALIKE, pair_settings=chosen)
    make_pairs(settings, tmp_path / "run", notice=quiet, progress=quiet)
    model = ModelSettings(model=str(tiny_model_folder))
    assert plan(TrainSettings(model=model), tmp_path / "run")["pairs"] > 0
    with pytest.raises(UserError, match=r"listwise .* no weights"):
        plan(TrainSettings(model=model, loss="listwise"), tmp_path / "run")
