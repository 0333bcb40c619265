"""The whole loop on the embedded model: measure, synthesise, train, measure again, report.

It takes a part of the built-in items and paths so that it ends in less than half an hour on two
cores; its figures stand in ``docs/results.md``, and ``c2 eval`` measures all items at every k.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursecorrect import store, workflow
from coursecorrect.evaluate import EvalSettings
from coursecorrect.generate.base import Sampling
from coursecorrect.models import ModelSettings, has_bfloat16
from coursecorrect.synth import SynthSettings
from coursecorrect.train.recipe import TrainSettings

EVAL = EvalSettings(ks=(10, 40, 80), limit=18, sampling=Sampling(paths=4))
SYNTH = SynthSettings(wording="narrow", limit=140, own_answers="smollm2")


@dataclass(frozen=True)
class Screen:
    """How the loop shows itself: a bar per step, a table per result."""

    measuring: Callable[[str], AbstractContextManager[Callable[[Any], None]]]
    counting: Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
    training: Callable[[str], AbstractContextManager[Callable[..., None]]]
    results: Callable[[str, dict[str, Any]], None]
    notice: store.Notice


def run_demo(folder: Path, screen: Screen) -> Path:
    """Run the loop in ``folder`` and return the report's path; a second call goes on or repeats."""
    before = _measure("1/5 measuring before training", EVAL, folder / "before", screen)
    screen.results("before training", before)
    with screen.counting("2/5 synthesising preferences") as count:
        workflow.make_pairs(SYNTH, folder / "pairs", notice=screen.notice, progress=count)
    with screen.training("3/5 training") as count:
        recipe = TrainSettings(bf16=has_bfloat16())
        model = workflow.teach(
            recipe, folder / "pairs", folder / "trained", notice=screen.notice, progress=count
        )
    trained = EVAL.model_copy(update={"model": ModelSettings(model=str(model))})
    after = _measure("4/5 measuring after training", trained, folder / "after", screen)
    screen.results("after training", after)
    with screen.counting("5/5 writing the report"):
        path, _ = workflow.compare(folder / "before", folder / "after", folder / "report.html")
    return path


def _measure(title: str, settings: EvalSettings, folder: Path, screen: Screen) -> dict[str, Any]:
    with screen.measuring(title) as progress:
        return workflow.measure(settings, folder, notice=screen.notice, progress=progress)
