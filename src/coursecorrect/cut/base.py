"""What a cut is, and the error where a text offers too few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coursecorrect.errors import UserError

CutKind = Literal["sentence", "clause", "token"]
"""What ends at a cut: a sentence or list item, a clause, or only a word."""


class CutError(UserError):
    """The text offers fewer places to cut than were asked for."""


@dataclass(frozen=True, slots=True)
class Cut:
    """``offset`` characters are kept; ``kind`` tells what ends there."""

    offset: int
    kind: CutKind
