"""The ``llm`` judge: any model behind an OpenAI-compatible server, by the guide or plainly asked.

An answer that cannot be read is ``undecided``, with the reason, and never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from coursecorrect.judge import _prompt
from coursecorrect.judge._chat import Chat, Reply
from coursecorrect.judge.base import Keep, keep_nothing
from coursecorrect.judge.setup import JudgeSetup
from coursecorrect.types import Continuation, Judgement, Record, Verdict

_QUOTE: Final = {"type": ["string", "null"]}
SCHEMA: Final = _prompt.schema(
    "judgement",
    {
        "reason": {"type": "string"},
        "verdict": {"type": "string", "enum": [verdict.value for verdict in Verdict]},
        "onset": _QUOTE,
        "relapse": _QUOTE,
    },
)
_TURN: Final = {True: "ended by the model", False: "cut off", None: "not known"}
_PROMPTS: Final = {
    "guide": (_prompt.GUIDE, _prompt.GUIDE_TASK),
    "yes-no": (_prompt.PLAIN, _prompt.PLAIN_TASK),
}


class _GuideAnswer(Record):
    reason: str
    verdict: Verdict
    onset: str | None = None
    relapse: str | None = None


class LLMJudge:
    """Asks once for each text, greedily."""

    name = "llm"

    def __init__(self, setup: JudgeSetup | None = None) -> None:
        """Raises UserError: the address or the model is missing or wrong."""
        setup = setup or JudgeSetup()
        self._chat = Chat(setup, "the llm judge")
        self._plain = setup.settings.judge_prompt == "yes-no"
        self._prompt = _PROMPTS[setup.settings.judge_prompt]
        self.digest = self._chat.digest("llm 1", *self._prompt)

    def judge(self, texts: Sequence[Continuation]) -> list[Judgement]:
        return self.judge_and_keep(texts, keep_nothing)

    def judge_and_keep(self, texts: Sequence[Continuation], keep: Keep) -> list[Judgement]:
        def read(number: int, reply: Reply) -> Judgement:
            text = texts[number]
            judgement = read_plain(reply) if self._plain else read_guide(reply, text.continuation)
            keep(text, judgement)
            return judgement

        questions = [self._question(text) for text in texts]
        return self._chat.ask(questions, None if self._plain else SCHEMA, read)

    def _question(self, text: Continuation) -> _prompt.Messages:
        material = {
            "request": text.request,
            "prefill": text.prefill,
            "continuation": text.continuation,
            "turn": _TURN[text.finished],
        }
        return _prompt.messages(self._prompt[0], material, self._prompt[1])


def read_guide(reply: Reply, text: str) -> Judgement:
    """The judgement in an answer to the guide; a correction must be quoted from ``text``."""
    if reply.problem:
        return _undecided(reply.problem)
    try:
        answer = _GuideAnswer.model_validate_json(_prompt.object_in(reply.text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _undecided(f"the judge's answer cannot be read ({where or 'body'}: {first['msg']})")
    onset = _prompt.place_of(answer.onset, text)
    relapse = None if onset is None else _prompt.place_of(answer.relapse, text, onset + 1)
    if answer.verdict is Verdict.CORRECTED:
        if onset is None:
            return _undecided("the judge finds a correction but quotes none that stands there")
        if answer.relapse is not None:
            return _undecided("the judge finds a relapse and calls the text corrected")
        return Judgement(verdict=Verdict.CORRECTED, reason=answer.reason, onset=onset)
    if answer.verdict is not Verdict.CONTINUED or relapse is None:
        onset = relapse = None
    return Judgement(verdict=answer.verdict, reason=answer.reason, onset=onset, relapse=relapse)


def read_plain(reply: Reply) -> Judgement:
    """``Yes.``, ``NO`` and the like; anything more is not read into."""
    if reply.problem:
        return _undecided(reply.problem)
    said = re.sub(r"[\W_]+", "", reply.text.casefold())
    if said not in {"yes", "no"}:
        return _undecided("the judge answers neither yes nor no")
    verdict = Verdict.CORRECTED if said == "yes" else Verdict.CONTINUED
    return Judgement(verdict=verdict, reason=f"the judge says {said}")


def _undecided(reason: str) -> Judgement:
    return Judgement(verdict=Verdict.UNDECIDED, reason=reason)
