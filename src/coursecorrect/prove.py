"""What did a training teach? Start and trained model, measured, probed and reported in one go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field

from coursecorrect import store
from coursecorrect.data.openers import OpenerSet
from coursecorrect.evaluate import PAPER_KS, EvalSettings, Ks, Progress, prepare, select_items
from coursecorrect.generate.base import Sampling
from coursecorrect.judge.setup import JudgeSettings
from coursecorrect.models import ModelSettings, load_tokenizer
from coursecorrect.probe import ProbeSettings, same_tokens
from coursecorrect.train.recipe import TrainSettings
from coursecorrect.types import Record

Part = TypeVar("Part", EvalSettings, ProbeSettings)

Measuring = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]
Counting = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""How a part shows itself: from its title to what is told of its progress."""


class ProveSettings(Record):
    """All that decides a proof beside the two models; recorded in ``run.json``."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the weights; auto is float32 on CPU and the model's own on CUDA."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes CUDA when it is there."""
    trust_remote_code: bool = False
    """Run model code from the Hub; off unless you trust its author."""
    data: str = "builtin"
    """builtin, a .jsonl or .parquet file, or a Hub data set such as PKU-Alignment/PKU-SafeRLHF."""
    split: Literal["dev", "locked"] = "locked"
    """Built-in items: dev for tuning, locked for figures that are reported."""
    ks: Ks = PAPER_KS
    """Tokens of the answer to prefill, separated by commas; the probe looks as far as the last."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many items of each kind."""
    openers: OpenerSet = "locked"
    """Which openers stand before the answer; the locked ones are never taught."""
    sampling: Sampling = Sampling()
    system: str | None = None
    """System prompt; without it the template's own default applies."""
    template_args: dict[str, Any] | None = None
    """Argument of the chat template as KEY=VALUE (VALUE in JSON or plain); may be repeated."""
    judge: str = "rules"
    """Which judge gives the verdicts; names joined by + vote."""
    judge_settings: JudgeSettings = JudgeSettings()
    batch_rows: int = Field(default=160, ge=1)
    """Rows decoded together; decides which items share a batch."""

    def measured(self, model: str, *, ban_triggers: bool = False) -> EvalSettings:
        """The measurement of one of the models."""
        return self._part(EvalSettings, model, ban_triggers=ban_triggers)

    def probed(self, model: str, against: str) -> ProbeSettings:
        """The probe of both."""
        return self._part(ProbeSettings, model, against=against, tokens=max(self.ks))

    def placed(self, model: str) -> ModelSettings:
        """Where and how one of the models is loaded."""
        return ModelSettings(
            model=model,
            dtype=self.dtype,
            device=self.device,
            trust_remote_code=self.trust_remote_code,
        )

    def _part(self, record: type[Part], model: str, **own: Any) -> Part:
        """Settings of a part; what both records have by the same name is the same."""
        common = record.model_fields.keys() & type(self).model_fields.keys()
        shared = {name: getattr(self, name) for name in common}
        return record(model=self.placed(model), **shared, **own)


def after_training(training: TrainSettings) -> ProveSettings:
    """The defaults, with what the training says of device, precision and prompts.

    Raises:
        UserError: several processes train; a proof is made by one.
    """
    from coursecorrect.train.run import check_alone

    check_alone(training)
    model = training.model
    return ProveSettings(
        dtype=model.dtype,
        device=model.device,
        trust_remote_code=model.trust_remote_code,
        system=training.system,
        template_args=training.template_args,
    )


def prove(
    settings: ProveSettings,
    model: str,
    against: str,
    folder: Path,
    *,
    measuring: Measuring,
    counting: Counting,
    notice: store.Notice,
) -> dict[str, Any]:
    """Fill ``folder`` with four runs, ``results.json`` and ``report.html``; goes on where it was.

    Args:
        settings: the same for both models.
        model: the trained one.
        against: the one before training.
        folder: where the runs go.
        measuring, counting: a bar for each part.
        notice: told what matters but stops nothing.

    Returns:
        What ``results.json`` holds.

    Raises:
        UserError: the two models have different tokens, or a part cannot be done.
    """
    from coursecorrect import workflow  # late: the command line asks for the settings alone
    from coursecorrect.report.proof import AFTER, BANNED, BEFORE, PROBE, write_proof

    _check(settings, model, against)
    store.open_run(folder, _run_settings(settings, model, against))
    runs = {
        BEFORE: ("the start", settings.measured(against)),
        AFTER: ("the trained model", settings.measured(model)),
        BANNED: ("it without the taught words", settings.measured(model, ban_triggers=True)),
    }
    results = {}
    for number, (name, (what, run)) in enumerate(runs.items(), 1):
        with measuring(f"{number}/5 measuring {what}") as progress:
            results[name] = workflow.measure(run, folder / name, notice=notice, progress=progress)
    with counting("4/5 probing both") as count:
        probed = settings.probed(model, against)
        workflow.look_along(probed, folder / PROBE, notice=notice, progress=count)
    with counting("5/5 writing the report") as count:
        count(0, 1)
        found = write_proof(folder, results)
        count(1, 1)
    return found


def _check(settings: ProveSettings, model: str, against: str) -> None:
    """What can be known without the weights is known before anything is sampled or written."""
    from coursecorrect.workflow import judge_for

    judge = judge_for(settings.judge, settings.judge_settings)
    items = select_items(settings.measured(model))
    trained, start = (load_tokenizer(settings.placed(name)) for name in (model, against))
    same_tokens(trained, start)
    for side in (trained, start):
        prepare(settings.measured(side.name), items, side.tokenizer, judge)


def _run_settings(settings: ProveSettings, model: str, against: str) -> dict[str, Any]:
    """The revisions of the models stand in the runs' own folders."""
    return {
        "kind": "prove",
        "model": model,
        "against": against,
        "settings": settings.model_dump(mode="json"),
    }
