"""Corrector, verifying judge and generator of a data set, built from its settings."""

from __future__ import annotations

from functools import cache
from typing import Any

from coursecorrect.correct import BUILT_IN, get_corrector
from coursecorrect.errors import UserError
from coursecorrect.generate.base import Generator
from coursecorrect.judge import get_judge
from coursecorrect.models import ModelSettings, load, resolve, revision
from coursecorrect.registry import takes
from coursecorrect.store import Notice
from coursecorrect.synth.settings import SynthSettings
from coursecorrect.synth.shards import OwnModel, Tools, unheard


def build_tools(
    settings: SynthSettings, api_key: str | None = None, notice: Notice = unheard
) -> Tools:
    """Build them; a model is loaded where it is first needed.

    Raises:
        UserError: an unknown corrector or judge, or settings that it does not take.
    """
    given: dict[str, Any] = {
        "wording": settings.wording,
        "model": settings.corrector_model,
        "server": settings.server,
        "api_key": api_key,
        "notice": notice,
    }
    options = {name: value for name, value in given.items() if takes_option(settings, name)}
    _check_all_are_taken(settings, options)
    return Tools(
        get_corrector(settings.corrector, **options),
        get_judge(settings.judge),
        _own_model(settings.own_answers, notice),
    )


def takes_option(settings: SynthSettings, name: str) -> bool:
    """Can the corrector be made with the option called ``name``?"""
    return takes("corrector", BUILT_IN, settings.corrector, name)


def _check_all_are_taken(settings: SynthSettings, options: dict[str, Any]) -> None:
    """A setting that the corrector does not know would do nothing, and nobody would be told."""
    defaults = SynthSettings()
    for flag, option in (("corrector_model", "model"), ("server", "server")):
        if option not in options and getattr(settings, flag) != getattr(defaults, flag):
            shown = "--base-url and --served-model" if flag == "server" else "--corrector-model"
            raise UserError(f"the corrector {settings.corrector!r} takes no {shown}; leave it out")


def loads_a_model(settings: SynthSettings) -> bool:
    """Would every process that makes shards hold a model of its own?"""
    loads = takes_option(settings, "model") and not takes_option(settings, "server")
    return loads or settings.own_answers is not None


def _own_model(model: str | None, notice: Notice) -> OwnModel | None:
    if model is None:
        return None

    @cache
    def generator() -> Generator:
        from coursecorrect.generate.hf import HFGenerator

        return HFGenerator(load(ModelSettings(model=model)), notice=notice)

    return OwnModel(model, revision(resolve(model)), generator)
