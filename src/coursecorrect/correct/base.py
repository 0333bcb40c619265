"""What a corrector is given and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from coursecorrect.correct.triggers import Frame
from coursecorrect.types import Record


class CorrectionTask(Record):
    """One cut answer to be corrected.

    ``begun`` is the text to go on with: opener, IHR and trigger. ``frame`` tells what ``trigger``
    needs next: ``clause``, an independent clause in lower case (unless it begins with 'I'), or
    ``sentence``. ``reason`` fits after 'because' and ``alternative`` after 'I can help you'; a
    corrector finds its own where they are missing. ``words`` is a length to aim at, for correctors
    that can.
    """

    id: str
    request: str
    category: str | None = None
    begun: str
    trigger: str
    frame: Frame
    reason: str | None = None
    alternative: str | None = None
    words: int | None = None
    seed: int


@runtime_checkable
class Corrector(Protocol):
    """Writes the text that follows the trigger, without white space before it."""

    @property
    def name(self) -> str:
        """The name it is registered under."""
        ...

    @property
    def digest(self) -> str:
        """A digest of all that determines its output: wording, prompt, model, settings."""
        ...

    def correct(self, tasks: Sequence[CorrectionTask]) -> list[str]:
        """One correction a task, in the order of the tasks; each depends on its task alone."""
        ...
