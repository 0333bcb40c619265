from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import make_model, quiet, tree_bytes
from coursecorrect.correct.openings import OPENINGS, first_tokens, trigger_tokens
from coursecorrect.errors import UserError
from coursecorrect.evaluate import prepare, select_items
from coursecorrect.judge import get_judge
from coursecorrect.metrics.dynamics import REACH, dynamics_results, figures
from coursecorrect.models import LoadedModel, ModelSettings
from coursecorrect.probe import ProbeSettings, probe
from coursecorrect.workflow import look_along

TOKENS = 30


@pytest.fixture
def settings(items_file: Callable[..., Path], tiny_model_folder: Path) -> ProbeSettings:
    model = ModelSettings(model=str(tiny_model_folder), device="cpu")
    return ProbeSettings(model=model, data=str(items_file(3)), split="locked", tokens=TOKENS)


def run(settings: ProbeSettings, folder: Path, loaded: Any, against: Any = None) -> Any:
    items = select_items(settings.measured)
    judge = get_judge("rules")
    return probe(settings, folder, items, loaded, against, judge, notice=quiet, progress=quiet)


def other_model(loaded: Any, seed: int = 7) -> LoadedModel:
    tokenizer = loaded.tokenizer
    return LoadedModel(make_model(len(tokenizer), 3, seed), tokenizer, "other", "other")


def test_figures_are_those_of_one_step_at_a_time(
    settings: ProbeSettings, loaded: Any, tmp_path: Path
) -> None:
    other = other_model(loaded)
    row = run(settings, tmp_path / "run", loaded, other)[0]
    points, _ = prepare(
        settings.measured, select_items(settings.measured), loaded.tokenizer, get_judge("rules")
    )
    prefill, taught = points[0].prefill, trigger_tokens(loaded.tokenizer)
    openings = first_tokens(loaded.tokenizer, OPENINGS) | taught
    opener = prefill.lengths[0]
    begun = 0.0
    for at in range(len(prefill.prompt_ids), len(prefill.ids) + 1):
        with torch.inference_mode():
            p, q = (
                m.model(torch.tensor([prefill.ids[:at]])).logits[0, -1].double().softmax(-1)
                for m in (loaded, other)
            )
        k = at - opener
        if k >= 0:
            view = row["model"]
            mass = view["taught_mass"][k] + view["other_mass"][k]
            assert mass == pytest.approx(float(p[sorted(openings)].sum()), abs=1e-4)
            assert view["taught_mass"][k] == pytest.approx(float(p[sorted(taught)].sum()), abs=1e-4)
            order = p.argsort(descending=True).tolist()
            assert view["best_rank"][k] == 1 + min(order.index(i) for i in openings)
            assert view["entropy"][k] == pytest.approx(float(-(p * p.log()).sum()), abs=1e-4)
            assert row["kl"][k] == pytest.approx(float((p * (p / q).log()).sum()), abs=1e-4)
        if at < len(prefill.ids):
            begun += float(p[prefill.ids[at]].log())
    assert figures(row["model"])[f"log_p_begun@{TOKENS}"] == pytest.approx(begun, abs=1e-3)
    assert len(row["kl"]) == TOKENS + 1


def test_a_model_against_itself_has_changed_nothing(
    settings: ProbeSettings, loaded: Any, tmp_path: Path
) -> None:
    results = dynamics_results(run(settings, tmp_path / "run", loaded, loaded))
    assert results["kinds"].keys() == {"harmful", "twin", "ordinary"}
    for found in results["kinds"].values():
        assert {f["value"] for f in found["change"].values()} == {0}
        assert all(abs(f["value"]) < 1e-6 for f in found["kl"].values())
        assert found["model"] == found["against"]


def test_a_model_that_must_change_course_is_seen(
    settings: ProbeSettings, loaded: Any, tmp_path: Path
) -> None:
    turning = other_model(loaded)
    token = min(trigger_tokens(loaded.tokenizer))
    head = turning.model.lm_head
    turning.model.lm_head = torch.nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        turning.model.lm_head.weight.zero_()
        turning.model.lm_head.bias.zero_()[token] = 20.0
    found = dynamics_results(run(settings, tmp_path / "run", turning, loaded))["kinds"]["harmful"]
    assert found["model"]["mass"]["value"] > 0.99
    assert found["model"]["taught_mass"]["value"] > 0.99
    assert found["model"]["opening_in_reach"]["value"] == 1
    assert found["change"]["mass"]["low"] > 0.5
    assert found["change"][f"log_p_begun@{TOKENS}"]["high"] < 0


def test_walkable_is_broken_by_the_first_token_out_of_reach() -> None:
    view = {
        "taught_mass": [0.0] * 41,
        "other_mass": [0.1] * 41,
        "best_rank": [REACH, *[REACH + 1] * 40],
        "entropy": [1.0] * 41,
        "log_p_opener": -2.0,
        "log_p": [-0.5] * 40,
        "rank": [*[REACH] * 25, REACH + 1, *[1] * 14],
    }
    found = figures(view)
    assert (found["walkable@20"], found["walkable@40"]) == (1, 0)
    assert (found["opening_in_reach@0"], found["opening_in_reach@10"]) == (1, 0)
    assert found["log_p_begun@10"] == -7


def test_going_on_gives_the_same_rows(settings: ProbeSettings, loaded: Any, tmp_path: Path) -> None:
    for name in ("whole", "torn"):
        run(settings, tmp_path / name, loaded)
    path = tmp_path / "torn" / "probe.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + lines[4][:-30])
    run(settings, tmp_path / "torn", loaded)
    assert tree_bytes(tmp_path / "torn") == tree_bytes(tmp_path / "whole")


def test_different_tokens_cannot_be_compared(
    settings: ProbeSettings, loaded: Any, tmp_path: Path
) -> None:
    from conftest import make_tokenizer

    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["extra"])
    other = LoadedModel(loaded.model, tokenizer, "other", "other")
    with pytest.raises(UserError, match="different tokens"):
        run(settings, tmp_path / "run", loaded, other)


def test_results_and_plot_stand_in_the_folder(
    settings: ProbeSettings, tiny_model_folder: Path, tmp_path: Path
) -> None:
    both = settings.model_copy(update={"against": str(tiny_model_folder)})
    found = look_along(both, tmp_path / "run", notice=quiet, progress=quiet)
    assert json.loads((tmp_path / "run" / "probe.json").read_text()) == found
    assert (tmp_path / "run" / "probe.png").read_bytes()[:4] == b"\x89PNG"
