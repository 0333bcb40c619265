"""Thought and answer in what a reasoning model writes: pure functions on text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True)
class Markers:
    """How a template marks a thought.

    Attributes:
        opening: what it writes before a thought, white space included (``<think>`` and a line end).
        closing: what it writes between thought and answer.
        plain: what it writes before an answer without a thought (harmony names a channel).
    """

    opening: str
    closing: str
    plain: str = ""

    @property
    def open_tag(self) -> str:
        """What a model writes to begin a thought, whatever white space it takes."""
        return self.opening.strip()

    @property
    def close_tag(self) -> str:
        """What a model writes to end a thought."""
        return self.closing.strip()


KNOWN = (
    Markers("<think>\n", "\n</think>\n\n"),
    Markers(
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|channel|>final<|message|>",
    ),
    Markers("<|channel>thought\n", "\n<channel|>"),
    Markers("[THINK]", "[/THINK]"),
    Markers("<seed:think>", "</seed:think>"),
)
"""For templates that write no thought in a finished turn: DeepSeek-R1 and most others, harmony,
Gemma 4, Magistral, Seed-OSS, each as its publisher describes it."""


@dataclass(frozen=True)
class Parts:
    """Which characters of a continuation are thought and which are answer, in order."""

    text: str
    thought_spans: tuple[Span, ...]
    answer_spans: tuple[Span, ...]
    open_at_end: bool
    """The text ends within a thought."""

    @property
    def thought(self) -> str:
        """All thoughts, joined."""
        return _joined(self.text, self.thought_spans)

    @property
    def answer(self) -> str:
        """All that is not a thought nor a marker, joined."""
        return _joined(self.text, self.answer_spans)


def split(text: str, markers: Markers, *, inside: bool) -> Parts:
    """Tell thought from answer in ``text``; ``inside``: it begins within a thought.

    A marker belongs to neither, and the white space around it goes with it. So does what opens an
    answer without a thought.
    """
    spans: dict[bool, list[Span]] = {True: [], False: []}
    plain, start = markers.plain.strip(), 0
    while True:
        if plain and not inside and text.startswith(plain, start):
            start += len(plain)
        tag = markers.close_tag if inside else markers.open_tag
        found = text.find(tag, start)
        span = _between_markers(text, start, found)
        if span[0] < span[1]:
            spans[inside].append(span)
        if found < 0:
            return Parts(text, tuple(spans[True]), tuple(spans[False]), inside)
        start, inside = found + len(tag), not inside


def place(spans: Sequence[Span], offset: int) -> int:
    """Where character ``offset`` of the joined spans stands in the whole text."""
    for start, end in spans:
        if offset < end - start:
            return start + offset
        offset -= end - start
    return spans[-1][1] if spans else 0


def _between_markers(text: str, start: int, found: int) -> Span:
    """From ``start`` to the next marker (-1: none) without the white space that touches one."""
    end = len(text) if found < 0 else found
    inner = text[start:end]
    left = len(inner) - len(inner.lstrip()) if start else 0
    right = len(inner) - len(inner.rstrip()) if found >= 0 else 0
    return start + left, end - right


def _joined(text: str, spans: Sequence[Span]) -> str:
    return "".join(text[start:end] for start, end in spans)
