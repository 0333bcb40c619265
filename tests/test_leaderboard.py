from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from conftest import quiet, tree_bytes
from coursecorrect import workflow
from coursecorrect.errors import DataError, UserError
from coursecorrect.leaderboard import read_entries, run_leaderboard
from coursecorrect.report.leaderboard import leaderboard_table, write_leaderboard
from coursecorrect.store import read_jsonl, read_run


@contextmanager
def silent(_: str) -> Any:
    yield quiet


def run(entries: Any, folder: Path, notice: Callable[[str], None] = quiet) -> Any:
    return run_leaderboard(entries, folder, measuring=silent, notice=notice)


@pytest.fixture
def models_file(
    items_file: Callable[..., Path], tiny_model_folder: Path, tmp_path: Path
) -> Callable[..., str]:
    def write(*models: dict[str, Any], **common: Any) -> str:
        shared = {"data": str(items_file(3)), "ks": [5, 10], "paths": 2, "max_new_tokens": 4}
        models = models or (
            {"model": str(tiny_model_folder), "name": "tiny", "device": "cpu"},
            {"model": str(tiny_model_folder), "name": "cold", "device": "cpu", "temperature": 0},
        )
        path = tmp_path / "models.yaml"
        path.write_text(yaml.safe_dump({"settings": shared | common, "models": list(models)}))
        return str(path)

    return write


def test_one_run_folder_a_model_and_one_table(
    models_file: Callable[..., str], tmp_path: Path
) -> None:
    entries = read_entries(models_file())
    found = run(entries, tmp_path / "board")
    write_leaderboard(found, tmp_path / "board")
    assert sorted(row["name"] for row in found["models"]) == ["cold", "tiny"]
    scores = [row["J"]["value"] for row in found["models"]]
    assert scores == sorted(scores, reverse=True)
    for row in found["models"]:
        folder = tmp_path / "board" / row["folder"]
        results = json.loads((folder / "results.json").read_text())
        assert row["corr_mean"]["harmful"] == results["kinds"]["harmful"]["corr_mean"]
        assert read_run(folder)["settings"]["unit"] == "words"
    table = (tmp_path / "board" / "leaderboard.md").read_text()
    assert table.count("\n") == 4
    assert (tmp_path / "board" / "leaderboard.png").read_bytes()[:4] == b"\x89PNG"


def test_every_model_sees_the_same_text(models_file: Callable[..., str], tmp_path: Path) -> None:
    entries = read_entries(models_file())
    run(entries, tmp_path / "board")
    texts = []
    for entry in entries:
        rows = read_jsonl(tmp_path / "board" / entry.folder / "paths.jsonl")
        texts.append({(r["item"], r["k"], r["prefill"]) for _, r in rows})
    assert texts[0] == texts[1]


def test_a_second_call_samples_nothing_and_changes_nothing(
    models_file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, board = read_entries(models_file()), tmp_path / "board"
    write_leaderboard(run(entries, board), board)
    before = tree_bytes(board)
    monkeypatch.setattr("coursecorrect.generate.hf.HFGenerator._decode", None)
    write_leaderboard(run(entries, board), board)
    assert tree_bytes(board) == before


def test_a_model_that_cannot_be_loaded_does_not_stop_the_others(
    models_file: Callable[..., str], tiny_model_folder: Path, tmp_path: Path
) -> None:
    source = models_file(
        {"model": "./no-such-folder", "name": "[gone]"},
        {"model": str(tiny_model_folder), "device": "cpu", "name": "tiny"},
    )
    notes: list[str] = []
    found = run(read_entries(source), tmp_path / "board", notes.append)
    write_leaderboard(found, tmp_path / "board")
    assert [row["name"] for row in found["models"]] == ["tiny"]
    assert found["failed"][0]["name"] == "[gone]"
    assert "no-such-folder" in found["failed"][0]["why"]
    assert any("no-such-folder" in note for note in notes)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(leaderboard_table(found))
    assert "not measured" in shown.get()


def test_nothing_measured_is_an_error(models_file: Callable[..., str], tmp_path: Path) -> None:
    entries = read_entries(models_file({"model": "./no-such-folder"}))
    with pytest.raises(UserError, match="none of the 1 models"):
        run(entries, tmp_path / "board")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [", "broken YAML"),
        ("- a", "expected a mapping"),
        ("models: []", "expected 'models'"),
        ("models: [{name: a}]", "model 1: expected a mapping with 'model'"),
        ("models: [{model: a, paths: 0}]", "model 1: sampling.paths"),
        ("models: [{model: a, pathz: 3}]", "model 1: pathz"),
        ("models: [{model: a}, {model: a}]", "two models are called 'a'"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"models\.yaml") as found:
        read_entries(str(path))
    assert said in str(found.value)


def test_the_papers_models_are_a_preset() -> None:
    entries = read_entries("paper")
    assert len(entries) == 10
    assert all(entry.settings.sampling.paths == 20 for entry in entries)
    with pytest.raises(DataError, match="paper"):
        read_entries("no-such-file.yaml")


def test_measure_is_what_a_single_run_does(models_file: Callable[..., str], tmp_path: Path) -> None:
    entry = read_entries(models_file())[0]
    run([entry], tmp_path / "board")
    workflow.measure(entry.settings, tmp_path / "alone", notice=quiet, progress=quiet)
    assert tree_bytes(tmp_path / "board" / entry.folder) == tree_bytes(tmp_path / "alone")
