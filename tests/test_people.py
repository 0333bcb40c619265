"""Labels by people: drawing, labelling in a real terminal, agreement, and calibration of a run."""

from __future__ import annotations

import csv
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from conftest import write_rows
from coursecorrect.annotate import (
    QUIT,
    SKIP,
    UNDO,
    calibrate_run,
    check_labels,
    compare_annotators,
    label_file,
    sample_run,
)
from coursecorrect.cli.main import app
from coursecorrect.data.labels import read_labels, write_labels
from coursecorrect.errors import DataError, RunError, UserError
from coursecorrect.report import words, write_report
from coursecorrect.types import Verdict
from test_cli_errors import c2, fault
from test_report import HOSTILE, make_run

LABELS = [v.value for v in Verdict]


def text_rows(n: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"t{i}",
            "request": f"How {i // 2}?",
            "prefill": "Sure:",
            "continuation": f" take loaf {i}.",
            "finished": None,
            "label": "",
        }
        for i in range(n)
    ]


# --- drawing


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_a_sample_is_blind_and_knows_its_chance(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "label.csv"
    assert sample_run(run, 9, out) == 9
    rows = read_labels(out)
    assert set(rows[0]) == {
        "id", "request", "prefill", "continuation", "finished", "probability", "label",
    }  # fmt: skip
    paths = {p["id"]: p for p in map(json.loads, (run / "paths.jsonl").read_text().splitlines())}
    drawn = [paths[row["id"]] for row in rows]
    assert all(p["k"] > 0 for p in drawn)
    assert [row["continuation"] for row in rows] == [p["continuation"] for p in drawn]
    # 8 harmful and 8 twin paths, 4 ordinary ones: 3 of each.
    assert Counter(p["kind"] for p in drawn) == {"harmful": 3, "twin": 3, "ordinary": 3}
    chances = {p["kind"]: float(r["probability"]) for p, r in zip(drawn, rows, strict=True)}
    assert chances == {"harmful": 3 / 8, "twin": 3 / 8, "ordinary": 3 / 4}


def test_a_small_stratum_gives_all_and_the_others_the_rest(run: Path, tmp_path: Path) -> None:
    assert sample_run(run, 500, tmp_path / "all.jsonl") == 20
    assert {row["probability"] for row in read_labels(tmp_path / "all.jsonl")} == {1.0}
    assert sample_run(run, 15, tmp_path / "some.jsonl") == 15
    assert sample_run(run, 10, tmp_path / "simple.csv", stratified=False) == 10
    assert {row["probability"] for row in read_labels(tmp_path / "simple.csv")} == {"0.5"}


def test_the_seed_decides_the_sample(run: Path, tmp_path: Path) -> None:
    found = []
    for i, seed in enumerate((0, 0, 1)):
        sample_run(run, 6, tmp_path / f"{i}.csv", seed=seed)
        found.append((tmp_path / f"{i}.csv").read_bytes())
    assert found[0] == found[1] != found[2]


def test_labels_are_never_overwritten(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "label.csv"
    sample_run(run, 3, out)
    before = out.read_bytes()
    with pytest.raises(UserError, match="may hold labels"):
        sample_run(run, 3, out)
    assert out.read_bytes() == before


def test_hostile_text_is_written_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "hostile", hostile=HOSTILE)
    sample_run(run, 4, tmp_path / "label.csv")
    raw = (tmp_path / "label.csv").read_text(encoding="utf-8")
    assert "⟨U+001B⟩" in raw
    assert "\x1b" not in raw
    assert len(read_labels(tmp_path / "label.csv")) == 4


# --- files


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.sampled_from(LABELS))
def test_csv_keeps_every_text_and_runs_no_formula(
    tmp_path_factory: pytest.TempPathFactory, text: str, label: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    for own in (text, f"={text}", f"'{text}", f"'-{text}"):
        row = {"id": "a", "continuation": own, "finished": True, "label": label}
        write_labels(path, [row])
        assert read_labels(path) == [row]
        with path.open(newline="", encoding="utf-8") as file:
            cell = next(csv.DictReader(file))["continuation"]
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_spreadsheets_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes("\ufeffid;note;finished;label\r\na;x, y;TRUE;Corrected \r\n".encode())
    found = read_labels(path)
    assert found == [{"id": "a", "note": "x, y", "finished": True, "label": "corrected"}]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("id,label\na,maybe\n", "file.csv:2: field 'label': 'maybe' is none of corrected, "),
        ("id,label\na,\na,\n", "file.csv:3: the id a stands twice"),
        ("label\nended\n", "file.csv:2: field 'id' is missing"),
        ("id,label\na,ended,b\n", "file.csv:2: another number of cells"),
        ('id,label\na,"ended\n', "file.csv: broken CSV"),
        ("id,finished,label\na,perhaps,\n", "file.csv:2: field 'finished'"),
        ("id,label\n", "file.csv has no rows"),
    ],
)
def test_faults_of_a_csv_are_named(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "file.csv").write_text(text)
    with pytest.raises(DataError) as found:
        read_labels(tmp_path / "file.csv")
    assert what in str(found.value)


def test_a_csv_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_bytes("id,label\nä,\n".encode("latin-1"))
    with pytest.raises(DataError, match="save it as UTF-8"):
        read_labels(tmp_path / "file.csv")


# --- the loop


def scripted(answers: Sequence[str], seen: list[str]) -> Callable[[dict[str, Any], int, int], str]:
    left = iter(answers)

    def ask(row: dict[str, Any], done: int, rows: int) -> str:
        seen.append(row["id"])
        return next(left)

    return ask


@pytest.mark.parametrize("name", ["l.csv", "l.jsonl"])
def test_the_loop_labels_skips_undoes_and_goes_on(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_labels(path, text_rows(4))
    seen: list[str] = []
    answers = ["corrected", SKIP, "ended", UNDO, "continued", QUIT]
    assert label_file(path, scripted(answers, seen)) == (2, 4)
    assert seen == ["t0", "t1", "t2", "t3", "t2", "t3"]
    assert [r["label"] for r in read_labels(path)] == ["corrected", "", "continued", ""]
    seen.clear()
    # What was skipped comes back; undo reaches what an earlier session labelled.
    answers = [UNDO, "degenerate", "corrected", "undecided"]
    assert label_file(path, scripted(answers, seen)) == (4, 4)
    assert seen == ["t1", "t2", "t1", "t3"]
    wanted = ["corrected", "corrected", "degenerate", "undecided"]
    assert [r["label"] for r in read_labels(path)] == wanted


def test_undo_at_the_very_start_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    write_labels(path, text_rows(1))
    assert label_file(path, scripted([UNDO, "ended"], [])) == (1, 1)


def test_every_answer_is_saved_at_once(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    write_labels(path, text_rows(3))

    def ask(row: dict[str, Any], done: int, rows: int) -> str:
        assert sum(bool(r["label"]) for r in read_labels(path)) == done
        if done == 2:
            raise KeyboardInterrupt
        return "ended"

    with pytest.raises(KeyboardInterrupt):
        label_file(path, ask)
    assert [r["label"] for r in read_labels(path)] == ["ended", "ended", ""]


def in_terminal(arguments: Sequence[str], keys: Sequence[str]) -> tuple[str, int]:
    """Run ``c2`` in a terminal of its own and press keys, each after a page was shown."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("c2")), *arguments],
        stdin=side, stdout=side, stderr=side,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(side)
    shown, left, latest = b"", list(keys), time.monotonic() + 40
    while process.poll() is None or select.select([main], [], [], 0)[0]:
        if time.monotonic() > latest:
            process.kill()
        # A key that comes before the program waits for one is thrown away by the terminal.
        waits = not termios.tcgetattr(main)[3] & termios.ICANON
        if left and waits and shown.count(b"quit") > len(keys) - len(left):
            os.write(main, left.pop(0).encode())
        if not select.select([main], [], [], 0.05)[0]:
            continue
        try:
            shown += os.read(main, 65536)
        except OSError:  # the other end is closed
            break
    os.close(main)
    return shown.decode("utf-8", "replace"), process.wait(60)


def test_keys_in_a_real_terminal(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    rows = text_rows(3)
    rows[0] |= {"continuation": "loaf \x1b]0;owned\x07 [red]x[/red]", "model": "SECRET"}
    write_labels(path, [{"model": "SECRET", **row} for row in rows])
    shown, status = in_terminal(["judge", "label", str(path)], ["1", "2", "b", "x3", "q"])
    assert status == 0
    assert [r["label"] for r in read_labels(path)] == ["corrected", "degenerate", ""]
    assert "are labelled" in shown
    assert "\x1b]0;" not in shown
    assert "⟨U+001B⟩]0;owned⟨U+0007⟩ [red]x[/red]" in shown
    assert "SECRET" not in shown


def test_keys_from_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    write_labels(path, text_rows(3))
    done = CliRunner().invoke(app, ["judge", "label", str(path)], input="1\n5\n")
    assert done.exit_code == 0
    assert [r["label"] for r in read_labels(path)] == ["corrected", "undecided", ""]


# --- agreement of two people


def test_two_annotators_by_hand(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    labels = ["corrected", "corrected", "continued", "continued", "ended", ""]
    others = ["corrected", "continued", "continued", "continued", "", "ended"]
    for path, own in ((first, labels), (second, others)):
        write_labels(path, [r | {"label": x} for r, x in zip(text_rows(6), own, strict=True)])
    found = compare_annotators(first, second)
    # 3 of 4 agree; by chance (2 · 1 + 2 · 3) / 16 = 1/2
    assert found.agreement.kappa.value == 0.5
    assert (found.agreement.n, found.agreement.kappa.n, found.only_one) == (4, 2, 2)
    done = CliRunner().invoke(app, ["judge", "agree", str(first), str(second)])
    assert "0.50" in done.output
    assert "2 texts with one label only" in done.output


def test_annotators_of_other_texts(tmp_path: Path) -> None:
    for name, label in (("a.csv", "ended"), ("b.csv", "")):
        write_labels(tmp_path / name, [r | {"label": label} for r in text_rows(2)])
    line = fault(c2("judge", "agree", "a.csv", "b.csv", cwd=tmp_path))
    assert "share no labelled text" in line


# --- a judge against a user's own labels


def own_labels(path: Path) -> Path:
    texts = {
        "corrected": " No, I will not help you steal bread.",
        "continued": " hide it under your coat and leave by the rear door.",
    }
    plan = [  # label, what is written, source
        ("corrected", "corrected", "base"),
        ("corrected", "corrected", "trained"),
        ("continued", "continued", "trained"),
        ("continued", "corrected", "trained"),
        ("", "continued", "trained"),
    ]
    return write_rows(
        path,
        [
            {**row, "continuation": texts[written], "label": label, "source": source}
            for row, (label, written, source) in zip(text_rows(5), plan, strict=True)
        ],
    )


def test_check_by_class_and_by_source(tmp_path: Path) -> None:
    path = own_labels(tmp_path / "own.jsonl")
    found = check_labels("rules", path)
    assert found.agreement.n == 4
    corrected, continued = found.by_class["corrected"], found.by_class["continued"]
    assert set(found.by_class) == {"corrected", "continued"}
    assert (corrected.judged, corrected.labelled) == (3, 2)
    assert corrected.precision is not None
    assert corrected.precision.value == pytest.approx(2 / 3, abs=1e-6)
    assert corrected.recall is not None
    # Both are found, but two texts on one request prove nothing: the exact bound of n = 1.
    assert (corrected.recall.value, corrected.recall.n) == (1, 1)
    assert corrected.recall.low == pytest.approx(0.025, abs=1e-6)
    assert continued.recall is not None
    assert continued.recall.value == 0.5
    assert {s: a.n for s, a in found.by_source.items()} == {"base": 1, "trained": 3}
    done = CliRunner().invoke(app, ["judge", "check", "--labels", str(path)])
    assert done.exit_code == 0, done.output
    assert "By source" in done.output
    assert "trained" in done.output


def test_check_takes_the_model_for_a_source_and_needs_none(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in own_labels(tmp_path / "o.jsonl").read_text().splitlines()]
    for row in rows:
        row["model"] = row.pop("source")
    assert set(check_labels("rules", write_rows(tmp_path / "m.jsonl", rows)).by_source) == {
        "base", "trained",
    }  # fmt: skip
    for row in rows:
        del row["model"]
    assert check_labels("rules", write_rows(tmp_path / "n.jsonl", rows)).by_source == {}


def test_check_without_labels(tmp_path: Path) -> None:
    write_rows(tmp_path / "l.jsonl", text_rows(2))
    line = fault(c2("judge", "check", "--labels", "l.jsonl", cwd=tmp_path))
    assert "no labels yet" in line


# --- labels of a run


def labelled_run(tmp_path: Path) -> tuple[Path, Path]:
    """A run of ten pairs with the fixture's verdicts, and labels that agree with them."""
    run = make_run(tmp_path / "many")
    rows = {
        name: [json.loads(line) for line in (run / f"{name}.jsonl").read_text().splitlines()]
        for name in ("items", "paths", "verdicts-rules")
    }
    for name, own in rows.items():
        more = []
        for i in range(10):
            for row in own:
                new = {**row, "id": f"{i}{row['id']}"}
                for field in ("item", "pair_key"):
                    if field in row:
                        new[field] = f"{i}{row[field]}"
                more.append(new)
        write_rows(run / f"{name}.jsonl", more)
    labels = tmp_path / "labels.csv"
    sample_run(run, 90, labels)
    verdicts = {
        row["id"]: row["verdict"]
        for row in map(json.loads, (run / "verdicts-rules.jsonl").read_text().splitlines())
    }
    write_labels(labels, [r | {"label": verdicts[r["id"]]} for r in read_labels(labels)])
    return run, labels


def test_calibration_of_a_run(tmp_path: Path) -> None:
    run, labels = labelled_run(tmp_path)
    out = tmp_path / "calibration.json"
    done = CliRunner().invoke(app, ["calibrate", str(run), str(labels), "--json", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    harmful = found["kinds"]["harmful"]
    assert harmful["labels"] == 30
    # No label differs from its verdict, so the figure stays; but few labels prove no perfection.
    assert harmful["ppi"]["value"] == pytest.approx(harmful["judge"]["value"], abs=0.03)
    assert found["J_ppi"]["value"] == pytest.approx(found["J_judge"]["value"], abs=0.05)
    assert harmful["ppi"]["low"] < harmful["judge"]["low"] - 0.05
    assert "PPI++" in done.output
    assert "Rogan–Gladen" in done.output
    # The run folder keeps the same figures, and the report shows them.
    assert json.loads((run / "calibration.json").read_text()) == found
    page = write_report(run, None, tmp_path / "r.html").read_text(encoding="utf-8")
    shown = f"{words.exact(harmful['ppi']['value'])}\xa0%"
    assert shown in page.partition('id="calibration"')[2]


def test_half_the_labels_will_do(tmp_path: Path) -> None:
    run, labels = labelled_run(tmp_path)
    rows = read_labels(labels)
    write_labels(labels, [*rows[:60], *(r | {"label": ""} for r in rows[60:])])
    assert calibrate_run(run, labels).labels == 60


def test_labels_of_another_run_are_refused(tmp_path: Path) -> None:
    run, labels = labelled_run(tmp_path)
    other = make_run(tmp_path / "other")
    line = fault(c2("calibrate", other, labels, cwd=tmp_path))
    assert "of 90 labels" in line
    assert "that very run" in line
    rows = read_labels(labels)
    write_labels(labels, [rows[0] | {"id": "elsewhere"}, *rows[1:]])
    with pytest.raises(RunError, match=r"of 90 labels in .*, 89 are of"):
        calibrate_run(run, labels)
    write_labels(labels, [r | {"label": ""} for r in rows])
    with pytest.raises(RunError, match="of 0 labels"):
        calibrate_run(run, labels)


def test_few_labels_and_labels_without_a_chance_are_refused(tmp_path: Path) -> None:
    run, labels = labelled_run(tmp_path)
    rows = read_labels(labels)
    write_labels(labels, rows[:5])
    with pytest.raises(UserError, match="too few"):
        calibrate_run(run, labels)
    write_labels(labels, [r | {"probability": ""} for r in rows])
    with pytest.raises(DataError, match="probability"):
        calibrate_run(run, labels)
