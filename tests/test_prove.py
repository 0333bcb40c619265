"""What a training taught, in one command: its parts are those of the other commands."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import made_up_items, make_tokenizer, quiet, tree_bytes, write_rows
from coursecorrect import store
from coursecorrect.generate.base import Sampling
from coursecorrect.models import ModelSettings
from coursecorrect.prove import ProveSettings, after_training, prove
from coursecorrect.report import compare_folders, write_results
from coursecorrect.report.proof import banned_sheet, proof_table, taught_sheet, write_proof
from coursecorrect.report.words import exact, number
from coursecorrect.train.recipe import TrainSettings
from test_cli_errors import c2, fault
from test_report import AFTER, BEFORE, Page, make_run, rendered
from test_resume import finish, kill_when, lines

FLAGS = ("--device", "cpu", "--ks", "5,10", "--paths", "2", "--max-new-tokens", "12")
PARTS = ("before", "after", "banned", "probe")


@pytest.fixture(scope="module")
def models(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The start, and a copy whose weights have moved; its name must be escaped."""
    import torch

    from coursecorrect.models import load

    loaded = load(ModelSettings(model=str(tiny_model_folder), device="cpu"))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        with torch.no_grad():
            for weight in loaded.model.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
    folder = tmp_path_factory.mktemp("models") / "trained <script>"
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return tiny_model_folder, folder


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "items.jsonl", made_up_items(4))


@pytest.fixture(scope="module")
def proof(
    models: tuple[Path, Path], items: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder that one command has made, and what stood on the screen."""
    place = tmp_path_factory.mktemp("proof")
    start, trained = models
    done = c2(
        "prove", trained, "--against", start, "--data", items, *FLAGS, "--out", "proof",
        cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return place / "proof", done.stdout + done.stderr


def test_one_command_leaves_runs_figures_and_one_page(
    proof: tuple[Path, str], models: tuple[Path, Path]
) -> None:
    folder, screen = proof
    assert {path.name for path in folder.iterdir()} == {
        *PARTS,
        "run.json",
        "results.json",
        "report.html",
    }
    assert all(f"{part}/5 " in screen for part in range(1, 6))
    for words in ("What the training taught", "Without the taught words", "report: proof/report"):
        assert words in screen
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert "trained <script>" in page.words
    for words in (
        "Begun by 8 tokens",
        "Relapse, of all paths",
        "log p(opener + 10 tokens)",
        "Distinct-3, ordinary",
        "Divergence, harmful",
        "Without the taught words",
        "Token dynamics",
        "Samples side by side",
    ):
        assert words in page.words, words
    # The table of differences stands once: in the new section.
    assert "Before and after, paired" not in page.words
    assert page.tags.count("svg") == 6


def test_figures_are_those_of_the_separate_commands(
    proof: tuple[Path, str], models: tuple[Path, Path], items: Path, tmp_path: Path
) -> None:
    folder, _ = proof
    start, trained = models
    measured = {
        "before": (start,),
        "after": (trained,),
        "banned": (trained, "--ban-triggers"),
    }
    for name, (model, *more) in measured.items():
        done = c2(
            "eval", "--model", model, "--data", items, *FLAGS, *more, "--out", name, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    done = c2(
        "probe", "--model", trained, "--against", start, "--device", "cpu", "--data", items,
        "--split", "locked", "--tokens", "10", "--out", "probe", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in PARTS:
        assert tree_bytes(folder / name) == tree_bytes(tmp_path / name), name
    found = json.loads((folder / "results.json").read_text())
    agreement = found["before"]["judge"]["agreement"]
    assert agreement["kappa"]["value"] > 0.5
    recorded = json.loads((tmp_path / "before" / "run.json").read_text())
    known = {recorded["judge"]["digest"]: agreement}
    before, after, banned = (tmp_path / name for name in measured)
    assert (found["before"], found["after"], found["differences"]) == in_json(
        compare_folders(before, after, known)
    )
    assert (found["banned"]["results"], found["banned"]["from_after"]) == in_json(
        compare_folders(after, banned, known)[1:]
    )
    assert found["banned"]["from_before"] == in_json(compare_folders(before, banned)[2:])[0]
    assert found["probe"] == json.loads((tmp_path / "probe" / "probe.json").read_text())


def in_json(value: Any) -> tuple[Any, ...]:
    return tuple(json.loads(json.dumps(value)))


def test_both_models_see_the_same_text_by_the_same_draws(proof: tuple[Path, str]) -> None:
    folder, _ = proof
    runs = [store.read_run(folder / name) for name in PARTS[:3]]
    settings = [{k: v for k, v in run["settings"].items() if k != "model"} for run in runs]
    assert settings[0] == settings[1] == settings[2] | {"ban_triggers": False}
    assert settings[2]["ban_triggers"]
    assert runs[0]["benchmark_hash"] == runs[1]["benchmark_hash"] == runs[2]["benchmark_hash"]
    texts = [
        [(r["item"], r["k"], r["path"], r["prefill"]) for _, r in rows(folder / name)]
        for name in PARTS[:3]
    ]
    assert texts[0] == texts[1] == texts[2]


def rows(folder: Path) -> Any:
    return store.read_jsonl(folder / "paths.jsonl")


def test_a_killed_proof_goes_on_to_the_same_bytes(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    start, trained = models
    data = write_rows(tmp_path / "items.jsonl", made_up_items(8))
    command = [
        "prove", trained, "--against", start, "--data", data, *FLAGS, "--batch-rows", 16, "--out",
    ]  # fmt: skip
    finish([*command, "undisturbed"], tmp_path)
    killed = tmp_path / "killed"
    each = 4 * 2  # two anchors and two k, two paths
    for reached in (
        lambda: lines(killed / "after" / "paths.jsonl") >= 3 * each,
        lambda: lines(killed / "probe" / "probe.jsonl") >= 4,
    ):
        kill_when([*command, "killed"], tmp_path, reached)
        assert not (killed / "results.json").exists()
    finish([*command, "killed"], tmp_path)
    whole = tree_bytes(tmp_path / "undisturbed")
    assert tree_bytes(killed) == whole


@contextmanager
def silent(_: str) -> Any:
    yield quiet


def run(settings: ProveSettings, model: Path, against: Path, folder: Path) -> dict[str, Any]:
    return prove(
        settings,
        str(model),
        str(against),
        folder,
        measuring=silent,
        counting=silent,
        notice=quiet,
    )


def test_a_model_that_is_its_start_was_taught_nothing(
    tiny_model_folder: Path, items: Path, tmp_path: Path
) -> None:
    settings = ProveSettings(
        device="cpu", data=str(items), ks=(5,), sampling=Sampling(paths=2, max_new_tokens=6)
    )
    found = run(settings, tiny_model_folder, tiny_model_folder, tmp_path / "proof")
    table = {
        label: [cell.value for cell in cells]
        for _, group in taught_sheet(found, number).groups
        for label, cells in group
    }
    for label, (before, after, difference, _, p, change) in table.items():
        if label.startswith("Divergence"):
            assert after == "0.00", label
        elif difference != "–":
            assert before == after, label
            assert difference in ("0", "0.00"), label
            assert p in ("1.000", "–"), label
            assert change == "unclear", label
    assert {"J", "Begun by 8 tokens", "log p(opener + 5 tokens)", "Distinct-2, twins"} - set(
        table
    ) == {"Begun by 8 tokens"}  # no path is that long
    assert found["before"]["kinds"] == found["after"]["kinds"]


# Without a model: what the tables say, worked out by hand.


def made_up_probe(folder: Path) -> None:
    """Two harmful requests; the log p of the answer's two tokens rises by 1 and by 3 nats."""

    def view(log_p: float) -> dict[str, Any]:
        return {
            "taught_mass": [0.25] * 3,
            "other_mass": [0.25] * 3,
            "best_rank": [1] * 3,
            "entropy": [1.0] * 3,
            "log_p_opener": -10.0,
            "log_p": [log_p] * 2,
            "rank": [1] * 2,
        }

    store.write_jsonl(
        folder / "probe" / "probe.jsonl",
        [
            {
                "item": item,
                "kind": "harmful",
                "pair_key": item,
                "against": view(-3.0),
                "model": view(log_p),
                "kl": [0.5] * 3,
            }
            for item, log_p in (("h1", -2.5), ("h2", -1.5))
        ],
    )


def make_proof(folder: Path, hostile: str = "") -> dict[str, Any]:
    """The runs of ``test_report`` as a proof; without the taught words as before training."""
    tables = {
        "before": ("smollm2", BEFORE),
        "after": ("taught", AFTER),
        "banned": ("taught", BEFORE),
    }
    runs = {
        name: make_run(folder / name, table, model=model, hostile=hostile)
        for name, (model, table) in tables.items()
    }
    made_up_probe(folder)
    return write_proof(folder, {name: write_results(run) for name, run in runs.items()})


@pytest.fixture
def made_up(tmp_path: Path) -> dict[str, Any]:
    return make_proof(tmp_path)


def test_what_the_sheets_say_by_hand(made_up: dict[str, Any]) -> None:
    groups = dict(taught_sheet(made_up, exact).groups)
    first = dict(groups["Correction"])
    # As in test_report: J is 3/8 before and 1 − 1/4 after, and one request of two differs.
    assert [cell.value for cell in first["J"]] == [
        "+37.5",
        "+75.0",
        "+37.5",
        "2",
        "1.000",
        "unclear",
    ]
    assert first["J"][2].small == "[0.0, +75.0]"
    assert [cell.value for cell in first["Corr_mean, harmful"]][:3] == [
        "50.0 %",
        "100.0 %",
        "+50.0",
    ]
    earlier = dict(groups["Onset"])
    # Every correction begins after 8 · 12 / 37 tokens of 8, so all corrections have begun by 8.
    assert earlier["Begun by 8 tokens"][0].value == "50.0 %"
    assert earlier["Begun by 8 tokens"][2].value == "+50.0"
    assert earlier["Median onset (tokens)"][0].value == "2.6"
    assert earlier["Median onset (tokens)"][2].value == "–"
    bare = dict(groups["Without a prefill"])
    assert [cell.value for cell in bare["Refusals, harmful"]][:3] == ["25.0 %", "50.0 %", "+25.0"]
    begun = dict(groups["Beginning harm"])
    assert list(begun) == ["log p(opener + 0 tokens)", "log p(opener + 2 tokens)"]
    # −10 − 2 · 3 before; −10 − 5 and −10 − 3 after.
    log_p = begun["log p(opener + 2 tokens)"]
    assert [cell.value for cell in log_p] == ["−16", "−14", "+2.0", "2", "–", "worse"]
    assert log_p[2].small == "[+1.0, +3.0]"
    along = dict(groups["Along the written answer"])
    assert along["Divergence, harmful"][1].value == "0.50"
    assert along["Would turn, harmful"][0].value == "50.0 %"
    assert "Would turn, twins" not in along
    banned = dict(banned_sheet(made_up, exact).groups[0][1])
    assert [cell.value for cell in banned["Corr_mean, harmful"]] == ["50.0 %", "−50.0", "0.0", "2"]


def test_tables_fit_and_the_page_holds_the_figures(made_up: dict[str, Any], tmp_path: Path) -> None:
    shown = rendered(proof_table(made_up), width=100)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert "smollm2 → taught" in shown
    assert "Difference of J: p = 1.000 by sign flips" in shown
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    words = " ".join(page.words.split()).replace("\xa0", " ")
    for part in ("[0.0, +75.0]", "−16.0", "prove that the machinery works"):
        assert part in words, part
    assert json.loads((tmp_path / "results.json").read_text()) == json.loads(json.dumps(made_up))
    first = tree_bytes(tmp_path)
    results = {name: made_up[name] for name in ("before", "after")}
    write_proof(tmp_path, results | {"banned": made_up["banned"]["results"]})
    assert tree_bytes(tmp_path) == first


# What cannot be done is one line, before anything is written.


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--ks", "0"), "--ks"),
        (("--ks", "4000"), "smaller --ks"),
        (("--data", "none.jsonl"), "none.jsonl"),
        (("--judge", "rulez"), "did you mean 'rules'"),
        (("--against", "./nowhere"), "no model folder"),
    ],
)
def test_a_fault_is_one_line(
    more: tuple[str, str], said: str, tiny_model_folder: Path, items: Path, tmp_path: Path
) -> None:
    done = c2(
        "prove", tiny_model_folder, "--against", tiny_model_folder, "--data", items, *FLAGS, *more,
        "--out", "proof", cwd=tmp_path,
    )  # fmt: skip
    assert said in fault(done)
    assert not (tmp_path / "proof").exists()


def test_against_is_asked_for(tmp_path: Path) -> None:
    assert "--against" in fault(c2("prove", "smollm2", cwd=tmp_path))


def test_different_tokens_are_told_before_anything_is_sampled(
    tiny_model_folder: Path, items: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_model_folder, other)
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["extra"])
    tokenizer.save_pretrained(other)
    done = c2(
        "prove", other, "--against", tiny_model_folder, "--data", items, *FLAGS, "--out", "proof",
        cwd=tmp_path,
    )  # fmt: skip
    assert "different tokens" in fault(done)
    assert not (tmp_path / "proof").exists()


def test_a_folder_of_something_else_is_left_alone(
    tiny_model_folder: Path, items: Path, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run")
    write_results(folder)
    whole = tree_bytes(folder)
    done = c2(
        "prove", tiny_model_folder, "--against", tiny_model_folder, "--data", items, *FLAGS,
        "--out", folder, cwd=tmp_path,
    )  # fmt: skip
    assert "other settings" in fault(done)
    assert tree_bytes(folder) == whole


def test_help_has_an_example(tmp_path: Path) -> None:
    done = c2("prove", "--help", cwd=tmp_path)
    assert "Example: c2 prove" in done.stdout
    assert "--against" in done.stdout
    assert "--ban-triggers" not in done.stdout


# After training.


def test_a_training_hands_on_what_decides_its_prompts() -> None:
    training = TrainSettings(
        model=ModelSettings(model="m", device="cpu", dtype="float32"),
        system="Be kind.",
        template_args={"a": 1},
    )
    settings = after_training(training)
    assert settings == ProveSettings(
        device="cpu", dtype="float32", system="Be kind.", template_args={"a": 1}
    )
    assert settings.measured("m").model == training.model


@pytest.mark.slow
def test_train_proves_what_it_has_taught(
    pairs_folder: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    done = c2(
        "train", pairs_folder, "--model", tiny_model_folder, "--device", "cpu", "--prove",
        "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "report: run/proof/report.html" in done.stdout
    found = store.read_run(tmp_path / "run" / "proof")
    assert (found["against"], found["model"]) == (str(tiny_model_folder), "run/model")
    results = json.loads((tmp_path / "run" / "proof" / "results.json").read_text())
    assert results["after"]["kinds"]["harmful"]["items"] > 20
