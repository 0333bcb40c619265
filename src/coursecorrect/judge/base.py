"""The one seam between the pipelines and whatever tells verdicts apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from coursecorrect.types import Continuation, Judgement

Keep = Callable[[Continuation, Judgement], None]
"""Told each judgement as soon as it is made; several threads may call it at once."""


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


@runtime_checkable
class CostlyJudge(Judge, Protocol):
    """A judge whose verdicts cost money or minutes, and are kept between runs."""

    def judge_and_keep(self, texts: Sequence[Continuation], keep: Keep) -> list[Judgement]:
        """As ``judge``; an error or interruption loses nothing that ``keep`` was told."""


def keep_nothing(_text: Continuation, _judgement: Judgement) -> None:
    """For a judge without a cache."""


def scored(score: float, **fields: Any) -> Judgement:
    """A judgement with the probability that the text is corrected."""
    return Judgement(score=score, **fields)
