"""Ranked groups: a seed is cut, corrected at each cut, and what the judge confirms is ranked."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from coursecorrect.correct.base import CorrectionTask, Corrector
from coursecorrect.correct.template import refusal
from coursecorrect.correct.triggers import Trigger, follow, join, triggers_for
from coursecorrect.cut import Cut, CutError, count_words, growing_cuts
from coursecorrect.data.openers import opener_for
from coursecorrect.judge.base import Judge
from coursecorrect.prefill import assistant_text
from coursecorrect.synth.score import score
from coursecorrect.synth.settings import SynthSettings
from coursecorrect.types import (
    Continuation,
    Item,
    ItemKind,
    RankedGroup,
    Response,
    Verdict,
    content_id,
)

AIM: Final = (0.95, 1.3)
"""The length aimed at, as shares of a rival's. Where that is beyond the template corrector it falls
short, so that with more above 1 than below as many corrections end up longer as shorter."""


class RejectedError(Exception):
    """A seed that gives no group, with the reason ("kind: explanation")."""


@dataclass
class _Turn:
    """A place where one response must turn away, and the best text found for it."""

    key: str
    """Decides its draws: the seed's id, whichever answer is cut."""
    item: Item
    opener: str
    cut: Cut | None
    """None: a refusal, from the first word on."""
    refusal: _Turn | None = None
    """Of the same group, where a correction is compared with it."""
    best: str | None = None
    score: float = -1.0

    @property
    def prefix(self) -> str:
        kept = "" if self.cut is None else self.item.response[: self.cut.offset]
        return assistant_text(self.opener, kept)

    @property
    def start(self) -> int:
        """Characters of the response before the turn."""
        return len(self.prefix.rstrip())

    @property
    def rival(self) -> str:
        """What a correction is compared with: the refusal, or the rest of a good answer.

        Were it mostly longer or shorter than that, its length would tell its rank.
        """
        if self.refusal is not None:
            return (self.refusal.best or "")[self.refusal.start :]
        return "" if self.cut is None else self.item.response[self.cut.offset :]

    def offer(self, text: str, worth: float) -> None:
        if worth > self.score:
            self.best, self.score = text, worth


@dataclass
class _Draft:
    """A group before its corrections are written."""

    item: Item
    opener: str
    refusal: _Turn
    turns: list[_Turn] = field(default_factory=list)

    @property
    def all_turns(self) -> list[_Turn]:
        return [self.refusal, *self.turns]


class GroupMaker:
    """Makes ranked groups; every draw follows from the item's id and the seed alone."""

    def __init__(self, settings: SynthSettings, corrector: Corrector, judge: Judge) -> None:
        self.settings, self.corrector, self.judge = settings, corrector, judge

    def opener(self, item: Item) -> str:
        """The opener of the group: half of the groups carry it in every rank, half in none.

        So the prefixes nest and the opener tells nothing about the rank.
        """
        drawn = random.Random(f"{self.settings.seed}|{item.id}").random()
        return opener_for(item.pair_key, "taught") if drawn < 0.5 else ""

    def make(
        self, items: Sequence[Item], answers: Mapping[str, str] | None = None
    ) -> list[RankedGroup | RejectedError]:
        """The group of each item, or why there is none; correctors and judges see all at once.

        Args:
            items: harmful and harmless ones.
            answers: by item id, in place of the item's own where that gives a group.
        """
        answers = answers or {}
        first = self._make([_with_answer(item, answers.get(item.id)) for item in items], items)
        again = [
            i
            for i, found in enumerate(first)
            if isinstance(found, RejectedError) and items[i].id in answers
        ]
        written = [items[i] for i in again]
        for i, found in zip(again, self._make(written, written), strict=True):
            first[i] = found
        return first

    def _make(
        self, seen: Sequence[Item], items: Sequence[Item]
    ) -> list[RankedGroup | RejectedError]:
        drafts = [self._draft(answered, item) for answered, item in zip(seen, items, strict=True)]
        self._turn([t for d in drafts if isinstance(d, _Draft) for t in d.all_turns])
        return [
            draft if isinstance(draft, RejectedError) else _finished(draft, item)
            for draft, item in zip(drafts, items, strict=True)
        ]

    def _draft(self, seen: Item, item: Item) -> _Draft | RejectedError:
        opener = self.opener(item)
        rng = random.Random(f"{self.settings.seed}|{item.id}|cuts")
        harmful = item.kind is ItemKind.HARMFUL
        wanted = self.settings.cuts if harmful else 1
        seed = rng.randrange(2**32)
        try:
            cuts = growing_cuts(seen.response, wanted, strategy=self.settings.strategy, seed=seed)
        except CutError as error:
            return RejectedError(f"cuts: {error}")
        refused = _Turn(f"{item.id}|0", seen, opener, None)
        rival = refused if harmful else None
        turns = [_Turn(f"{item.id}|{i}", seen, opener, cut, rival) for i, cut in enumerate(cuts, 1)]
        return _Draft(seen, opener, refused, turns)

    def _turn(self, turns: Sequence[_Turn]) -> None:
        """Find the text of each turn; those that the judge confirms none for stay empty."""
        missing = list(turns)
        for attempt in range(self.settings.attempts):
            if not missing:
                return
            refusals = [t for t in missing if t.cut is None]
            self._judge(refusals, *self._refusals(refusals, attempt))
            each = range(self.settings.candidates)
            tried = [t for t in missing if t.cut is not None for _ in each]
            self._judge(tried, *self._corrections(tried, attempt))
            missing = [t for t in missing if t.best is None]

    def _refusals(
        self, turns: Sequence[_Turn], attempt: int
    ) -> tuple[list[CorrectionTask], list[str]]:
        """The given safe response first; a written refusal where the judge does not confirm it."""
        tasks, texts = [], []
        for turn in turns:
            rng = self._rng(turn, attempt, 0)
            task = _task(turn.item, "", None, None, rng)
            given = turn.item.safe_response if attempt == 0 else None
            text = given or refusal(task)
            tasks.append(task)
            texts.append(assistant_text(turn.opener, text))
        return tasks, texts

    def _corrections(
        self, turns: Sequence[_Turn], attempt: int
    ) -> tuple[list[CorrectionTask], list[str]]:
        tasks, begun = [], []
        for number, turn in enumerate(turns):
            assert turn.cut is not None
            rng = self._rng(turn, attempt, number % self.settings.candidates)
            trigger = rng.choice(triggers_for(turn.cut.kind, turn.prefix))
            joined = join(turn.prefix, turn.cut.kind, trigger)
            begun.append(joined)
            tasks.append(_task(turn.item, joined, trigger, self._words(turn), rng))
        found = self.corrector.correct(tasks) if tasks else []
        # Without a correction there is nothing for the judge to confirm, whatever the trigger says.
        both = zip(begun, found, strict=True)
        return tasks, [follow(start, text) if text.strip() else "" for start, text in both]

    def _judge(
        self, turns: Sequence[_Turn], tasks: Sequence[CorrectionTask], texts: Sequence[str]
    ) -> None:
        """Offer each text to its turn, if the verifying judge finds a correction in it."""
        seen = [
            Continuation(
                id=turn.item.id,
                request=turn.item.request,
                prefill=turn.prefix,
                continuation=text[turn.start :],
                finished=True,
            )
            for turn, text in zip(turns, texts, strict=True)
        ]
        judged = self.judge.judge(seen) if seen else []
        for turn, task, text, verdict in zip(turns, tasks, texts, judged, strict=True):
            if verdict.verdict is Verdict.CORRECTED:
                turn.offer(text, score(text[turn.start :], task, verdict))

    def _words(self, turn: _Turn) -> int | None:
        """How long trigger and correction are to be; None where there is nothing to aim at."""
        rival = count_words(turn.rival)
        drawn = random.Random(f"{self.settings.seed}|{turn.key}|words").uniform(*AIM)
        return round(drawn * rival) or None

    def _rng(self, turn: _Turn, attempt: int, candidate: int) -> random.Random:
        return random.Random(f"{self.settings.seed}|{turn.key}|{attempt}|{candidate}")


def _with_answer(item: Item, answer: str | None) -> Item:
    return item if answer is None else item.model_copy(update={"response": answer})


def _task(
    item: Item, begun: str, trigger: Trigger | None, words: int | None, rng: random.Random
) -> CorrectionTask:
    said = trigger.text if trigger else ""
    return CorrectionTask(
        id=item.id,
        request=item.request,
        category=item.category,
        begun=begun,
        trigger=said,
        frame=trigger.frame if trigger else "sentence",
        reason=item.reason,
        alternative=item.alternative,
        words=None if words is None else max(1, words - count_words(said)),
        seed=rng.randrange(2**32),
    )


def _finished(draft: _Draft, item: Item) -> RankedGroup | RejectedError:
    for turn in draft.all_turns:
        if turn.best is None:
            cut = turn.cut
            what = "refusal" if cut is None else f"correction at character {cut.offset}"
            return RejectedError(f"verify: no {what} was confirmed")
    harmful = item.kind is ItemKind.HARMFUL
    responses = _harmful(draft) if harmful else _benign(draft)
    return RankedGroup(
        id=content_id(item.id, *(r.text for r in responses)),
        item_id=item.id,
        pair_key=item.pair_key,
        request=item.request,
        category=item.category,
        harmful=harmful,
        opener=draft.opener,
        responses=tuple(responses),
    )


def _harmful(draft: _Draft) -> list[Response]:
    full = assistant_text(draft.opener, draft.item.response)
    return [
        _refused(draft, 1),
        *(_corrected(turn, i) for i, turn in enumerate(draft.turns, 2)),
        Response(rank=len(draft.turns) + 2, role="FHR", text=full, share=1.0),
    ]


def _benign(draft: _Draft) -> list[Response]:
    """Going on is best; a correction midway is worse, and so is a refusal."""
    good = assistant_text(draft.opener, draft.item.response)
    begins = len(good) - len(draft.item.response)
    return [
        Response(rank=1, role="GOOD", text=good, cut=begins),
        *(_corrected(turn, i) for i, turn in enumerate(draft.turns, 2)),
        _refused(draft, len(draft.turns) + 2),
    ]


def _refused(draft: _Draft, rank: int) -> Response:
    text = draft.refusal.best or ""
    begins = len(text) - len(text[len(draft.opener) :].lstrip())
    return Response(rank=rank, role="SR", text=text, cut=begins)


def _corrected(turn: _Turn, rank: int) -> Response:
    assert turn.best is not None and turn.cut is not None
    share = round(turn.cut.offset / len(turn.item.response), 4)
    return Response(rank=rank, role="SCR", text=turn.best, cut=turn.start, share=share)
