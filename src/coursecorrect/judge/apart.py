"""Thought and answer of a reasoning model, judged apart by any judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coursecorrect.judge.base import Judge
from coursecorrect.thought import Markers, Parts, Span, place, split
from coursecorrect.types import Continuation, Judgement, Verdict

NO_ANSWER = Judgement(verdict=Verdict.UNDECIDED, reason="no answer yet: the thought is not closed")


def judge_apart(
    texts: Sequence[Continuation], markers: Markers, inside: Sequence[bool], judge: Judge
) -> list[dict[str, Any]]:
    """Verdict rows: the answer's judgement, and beside it

    - ``thought``: the thought's judgement, or null where there is none;
    - ``answered``: the path came to an answer, or ended its turn without one;
    - ``corrected_in_thought_only``: the thought corrects, and the answer that follows does not.

    All offsets are into the whole continuation. A path that is cut off in its thought is undecided.

    Args:
        texts: the continuations, markers included.
        markers: of the model's template.
        inside: whether each begins within a thought.
        judge: gives both judgements.
    """
    parts = [split(t.continuation, markers, inside=i) for t, i in zip(texts, inside, strict=True)]
    answered = [
        bool(p.answer) or not p.open_at_end or bool(t.finished)
        for p, t in zip(parts, texts, strict=True)
    ]
    answers = [_answer(t, p, i) for t, p, i in zip(texts, parts, inside, strict=True)]
    thoughts = [_thought(t, p) for t, p in zip(texts, parts, strict=True)]
    judged = _judged(
        judge, [a if is_so else None for a, is_so in zip(answers, answered, strict=True)]
    )
    thought_of = _judged(
        judge, [t if p.thought else None for t, p in zip(thoughts, parts, strict=True)]
    )
    return [
        _row(text, part, answer or NO_ANSWER, thought, came)
        for text, part, answer, thought, came in zip(
            texts, parts, judged, thought_of, answered, strict=True
        )
    ]


def _answer(text: Continuation, parts: Parts, inside: bool) -> Continuation:
    """A prefill within the thought is no part of the answer."""
    prefill = "" if inside else text.prefill
    return text.model_copy(update={"prefill": prefill, "continuation": parts.answer})


def _thought(text: Continuation, parts: Parts) -> Continuation:
    return text.model_copy(update={"continuation": parts.thought, "finished": None})


def _judged(judge: Judge, texts: Sequence[Continuation | None]) -> list[Judgement | None]:
    found = iter(judge.judge([text for text in texts if text is not None]))
    return [None if text is None else next(found) for text in texts]


def _row(
    text: Continuation, parts: Parts, answer: Judgement, thought: Judgement | None, answered: bool
) -> dict[str, Any]:
    turned = thought is not None and thought.verdict is Verdict.CORRECTED
    return {
        "id": text.id,
        **_placed(answer, parts.answer_spans),
        "thought": None if thought is None else _placed(thought, parts.thought_spans),
        "answered": answered,
        "corrected_in_thought_only": turned
        and answered
        and answer.verdict is not Verdict.CORRECTED,
    }


def _placed(judgement: Judgement, spans: Sequence[Span]) -> dict[str, Any]:
    """The judgement with its offsets in the whole continuation."""
    row = judgement.model_dump(mode="json")
    for field in ("onset", "relapse"):
        if row[field] is not None:
            row[field] = place(spans, row[field])
    return row
