"""``c2 rejudge``: the same paths by another judge give what measuring by that judge gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from conftest import made_up_items, tree_bytes, write_rows
from coursecorrect.cli.main import app
from coursecorrect.judge import get_judge
from test_cli_errors import c2, fault


def invoke(*arguments: Any) -> Result:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """Two finished runs on the same paths, judged by rules and by lexical."""
    folder = tmp_path_factory.mktemp("measured")
    data = write_rows(folder / "items.jsonl", made_up_items(2))
    for judge in ("rules", "lexical"):
        invoke(
            "eval", "--model", tiny_model_folder, "--device", "cpu", "--data", data, "--ks", "5",
            "--paths", "2", "--max-new-tokens", "4", "--judge", judge, "--out", folder / judge,
        )  # fmt: skip
    return folder


def run_json(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def test_judging_again_is_measuring_without_sampling(measured: Path, tmp_path: Path) -> None:
    before = tree_bytes(measured / "rules")
    again = tmp_path / "again"
    done = invoke("rejudge", measured / "rules", "--judge", "lexical", "--out", again)
    assert tree_bytes(measured / "rules") == before
    wanted, found = tree_bytes(measured / "lexical"), tree_bytes(again)
    assert found.keys() == wanted.keys()
    assert {name for name in wanted if found[name] != wanted[name]} == {"run.json"}
    chosen_by = {"name": "rules", "digest": get_judge("rules").digest}
    assert run_json(again) == run_json(measured / "lexical") | {"items_chosen_by": chosen_by}
    for part in ("mean", "requests", "Judge lexical, agreement with", "run folder: "):
        assert part in done.output
    # The same command again changes nothing, and says the same.
    repeated = invoke("rejudge", measured / "rules", "--judge", "lexical", "--out", again)
    assert tree_bytes(again) == found
    assert repeated.stdout == done.stdout


def test_a_judged_run_is_a_run(measured: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    again, back = tmp_path / "again", tmp_path / "back"
    invoke("rejudge", measured / "rules", "--judge", "rules+lexical", "--out", again)
    done = invoke("report", measured / "rules", again, "--out", page)
    assert "judged by different judges" in done.output
    assert "judge.digest" in page.read_text(encoding="utf-8")
    # Who chose the items stays known however often the paths are judged.
    invoke("rejudge", again, "--judge", "lexical", "--out", back)
    assert run_json(back)["items_chosen_by"] == run_json(measured / "rules")["judge"]
    assert run_json(back)["settings"]["judge"] == "lexical"


def test_without_out_the_folder_stands_beside_the_run(measured: Path, tmp_path: Path) -> None:
    run = tmp_path / "mine"
    run.mkdir()
    for name, data in tree_bytes(measured / "rules").items():
        (run / name).write_bytes(data)
    done = c2("rejudge", ".", "--judge", "lexical", cwd=run)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine-lexical" / "results.json").is_file()


def test_faults_are_one_line_and_leave_nothing(measured: Path, tmp_path: Path) -> None:
    run = measured / "rules"
    before = tree_bytes(measured)
    line = fault(c2("rejudge", run, "--judge", "lexicl", "--out", "again", cwd=tmp_path))
    assert "did you mean 'lexical'" in line
    assert "'--judge'" in fault(c2("rejudge", run, "--out", "again", cwd=tmp_path))
    line = fault(c2("rejudge", "none", "--judge", "lexical", "--out", "again", cwd=tmp_path))
    assert "not a run folder" in line
    assert list(tmp_path.iterdir()) == []
    line = fault(c2("rejudge", run, "--judge", "lexical", "--out", run, cwd=tmp_path))
    assert "other settings" in line
    assert tree_bytes(measured) == before


def test_a_run_that_is_not_finished_is_refused(measured: Path, tmp_path: Path) -> None:
    run = tmp_path / "cut"
    run.mkdir()
    for name, data in tree_bytes(measured / "rules").items():
        (run / name).write_bytes(data)
    paths = run / "paths.jsonl"
    paths.write_text("".join(paths.read_text().splitlines(keepends=True)[:-1]))
    line = fault(c2("rejudge", run, "--judge", "lexical", "--out", "again", cwd=tmp_path))
    assert "is not finished" in line
    assert not (tmp_path / "again").exists()
