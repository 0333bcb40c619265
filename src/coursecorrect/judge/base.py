"""The one seam between the pipelines and whatever tells verdicts apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from coursecorrect.types import Continuation, Judgement


@runtime_checkable
class Judge(Protocol):
    """Gives each continuation a verdict by the guide in ``docs/judging.md``.

    ``digest`` changes whenever the judge's behaviour could change (rules, prompt, model); it is
    stored beside every verdict.
    """

    @property
    def name(self) -> str:
        """The name under which the registry knows the judge."""

    @property
    def digest(self) -> str:
        """Hash of everything that decides a verdict."""

    def judge(self, texts: Sequence[Continuation]) -> list[Judgement]:
        """One judgement a text, in the same order."""
