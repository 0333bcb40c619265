"""Which rows may become seeds, each row looked at by itself; and the settings that say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from pydantic import Field, field_validator, model_validator

from coursecorrect.data.readers import Draft, Row, RowError
from coursecorrect.data.words import count_words
from coursecorrect.errors import UserError
from coursecorrect.types import Item, ItemKind, Record

CHARACTERS_A_WORD = 50
"""No text of a row may have more than this many characters for each of ``max_words``."""
_NEEDED = ("request", "response", "prompt", "is_safe",
           "response_0", "response_1", "is_response_0_safe", "is_response_1_safe")  # fmt: skip
_OURS = (*_NEEDED, "response_0_harm_category", "response_1_harm_category",
         "kind", "category", "pair_key", "safe_response", "reason", "alternative")  # fmt: skip


class SeedSettings(Record):
    """Which rows are taken as seeds."""

    columns: dict[str, str] | None = None
    """A column of the data as OURS=THEIRS, such as request=question or response=answer; may be
    repeated."""
    min_words: int = Field(default=20, ge=1, le=100_000)
    """The shortest harmful answer, in words (characters in scripts without spaces)."""
    max_words: int = Field(default=600, ge=1, le=100_000)
    """The longest harmful answer, in words (characters in scripts without spaces)."""
    language: str | None = None
    """Keep only rows in this language, a code such as en or zh; needs py3langid."""
    categories: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Keep only harmful rows of these categories, separated by commas."""
    near_duplicates: float = Field(default=0.8, ge=0.3, le=1)
    """How alike (estimated Jaccard similarity of runs of five words) a row may be to an earlier one
    of its kind: from here on it is a near duplicate; 1 turns this off."""
    benchmark: tuple[str, ...] = ()
    """More files with requests that must not be taught, separated by commas; the built-in
    benchmark always counts."""
    overlap: int = Field(default=10, ge=3, le=100)
    """A row that shares a run of this many words with a benchmark item is contaminated."""

    @field_validator("columns")
    @classmethod
    def _ours_are_known(cls, columns: dict[str, str] | None) -> dict[str, str] | None:
        unknown = sorted(set(columns or ()) - set(_OURS))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of our columns, which are {', '.join(_OURS)}")
        return columns

    @model_validator(mode="after")
    def _some_length_is_left(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError("min_words must not be above max_words")
        return self


_HALF = re.compile("[\ud800-\udfff]")


def renamed(row: Row, columns: Mapping[str, str], where: str) -> Row:
    """``row`` with our names for the mapped columns.

    Raises:
        RowError: a column that is needed is missing.
    """
    found = {ours: row[theirs] for ours, theirs in columns.items() if theirs in row}
    for ours in [name for name in _NEEDED if name in columns and name not in found]:
        there = ", ".join(list(row)[:8])[:200]
        why = f"no column {columns[ours]!r}, which is to be {ours!r}; the row has: {there}"
        raise RowError(where, "field", why)
    return {**row, **found}


class RowFilters:
    """The filters that need nothing but the row.

    Raises:
        UserError: the language cannot be told (made with an unknown code, or no py3langid).
    """

    def __init__(self, settings: SeedSettings) -> None:
        self._settings = settings
        self._wanted = frozenset(name.casefold() for name in settings.categories or ())
        self._language = _language_detector(settings.language) if settings.language else None

    def check_texts(self, draft: Draft, where: str) -> None:
        """Raise RowError for a text that is too long to be worked on, or that no file can hold."""
        limit = CHARACTERS_A_WORD * self._settings.max_words
        for field, value in draft.fields.items():
            if not isinstance(value, str):
                continue
            if len(value) > limit:
                why = f"field {field!r} has {len(value)} characters, more than {limit}"
                raise RowError(where, "length", why)
            if not value.isascii() and _HALF.search(value):
                raise RowError(where, "field", f"field {field!r} holds half a surrogate pair")

    def check(self, item: Item, draft: Draft, where: str) -> None:
        """Raise RowError where a setting excludes the item."""
        if item.kind is ItemKind.HARMFUL:
            self._check_length(item, where)
            self._check_category(draft.categories, where)
        if self._language:
            found = self._language(f"{item.request}\n{item.response}")
            if found != self._settings.language:
                why = f"the row is in {found!r}, not {self._settings.language!r}"
                raise RowError(where, "language", why)

    def _check_length(self, item: Item, where: str) -> None:
        low, high = self._settings.min_words, self._settings.max_words
        words = count_words(item.response)
        if not low <= words <= high:
            raise RowError(where, "length", f"the answer has {words} words, not {low} to {high}")

    def _check_category(self, categories: Sequence[str], where: str) -> None:
        if self._wanted and self._wanted.isdisjoint(name.casefold() for name in categories):
            raise RowError(where, "category", f"{', '.join(categories)[:100]} is not wanted")


_ENOUGH = 2000  # characters that tell a language


def _language_detector(wanted: str) -> Callable[[str], str]:
    try:
        import py3langid
    except ImportError as error:
        raise UserError(
            "--language needs py3langid; run: pip install 'coursecorrect[language]'"
        ) from error
    known = sorted(code for code, _ in py3langid.rank(""))
    if wanted not in known:
        raise UserError(f"--language: {wanted!r} is not one of {', '.join(known)}")
    return lambda text: str(py3langid.classify(text[:_ENOUGH])[0])
