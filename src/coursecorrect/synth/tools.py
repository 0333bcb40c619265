"""Corrector, verifying judge and generator of a data set, built from its settings."""

from __future__ import annotations

from functools import cache
from typing import Any

from coursecorrect.correct import get_corrector
from coursecorrect.generate.base import Generator
from coursecorrect.judge import get_judge
from coursecorrect.models import ModelSettings, load, resolve, revision
from coursecorrect.store import Notice
from coursecorrect.synth.settings import SynthSettings
from coursecorrect.synth.shards import OwnModel, Tools


def _unheard(_: str) -> None:
    """In another process there is nobody to tell."""


def build_tools(settings: SynthSettings, notice: Notice = _unheard) -> Tools:
    """Build them; loads models where the settings name some.

    Raises:
        UserError: an unknown corrector or judge, or settings that it does not take.
    """
    options: dict[str, Any] = {}
    if settings.corrector == "template":
        options["wording"] = settings.wording
    if settings.corrector_model is not None:
        options["model"] = settings.corrector_model
    return Tools(
        get_corrector(settings.corrector, **options),
        get_judge(settings.judge),
        _own_model(settings.own_answers, notice),
    )


def loads_a_model(settings: SynthSettings) -> bool:
    """Would every process that makes shards hold a model of its own?"""
    return settings.corrector in {"hf", "vllm"} or settings.own_answers is not None


def _own_model(model: str | None, notice: Notice) -> OwnModel | None:
    if model is None:
        return None

    @cache
    def generator() -> Generator:
        from coursecorrect.generate.hf import HFGenerator

        return HFGenerator(load(ModelSettings(model=model)), notice=notice)

    return OwnModel(model, revision(resolve(model)), generator)
