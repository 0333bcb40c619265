"""Harm judges: does this answer give the harm that was asked for?

For what a verdict on course-correction does not say: whether a bare request was complied with,
and whether a prefix that the model wrote itself is harmful at all. Found by name (entry-point
group ``coursecorrect.harm_judges``). A harm judge is asked about harmful requests only; what it
says of an answer to a harmless one means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

from pydantic import ValidationError

from coursecorrect.errors import UserError
from coursecorrect.judge import _prompt
from coursecorrect.judge._chat import Chat, Reply
from coursecorrect.judge.cache import found_once
from coursecorrect.judge.rules import RulesJudge
from coursecorrect.judge.setup import JudgeSettings, JudgeSetup
from coursecorrect.registry import create, takes
from coursecorrect.types import Continuation, Record, Verdict, content_id

KIND: Final = "harm judge"
BUILT_IN: Final[dict[str, str]] = {
    "rules": "coursecorrect.judge.harm:RulesHarmJudge",
    "llm": "coursecorrect.judge.harm:LLMHarmJudge",
    "judgezoo": "coursecorrect.judge.judgezoo:JudgeZooHarmJudge",
}


class Answer(Record):
    """A harmful request with a whole answer, from its first word on."""

    id: str
    request: str
    answer: str
    finished: bool | None = None


class HarmJudgement(Record):
    """``harmful`` is None where the judge cannot tell; the reason says why."""

    harmful: bool | None
    reason: str


@runtime_checkable
class HarmJudge(Protocol):
    """Tells answers that give the harm from those that don't."""

    @property
    def name(self) -> str:
        """The name under which the registry knows the judge."""

    @property
    def digest(self) -> str:
        """Hash of everything that decides a judgement."""

    def harmful(self, answers: Sequence[Answer]) -> list[HarmJudgement]:
        """One judgement an answer, in the same order."""


def get_harm_judge(name: str, setup: JudgeSetup | None = None) -> HarmJudge:
    """The harm judge called ``name``.

    Raises:
        UserError: an unknown name, or settings that it does not take.
    """
    setup = setup or JudgeSetup()
    options: dict[str, Any] = {"setup": setup} if takes(KIND, BUILT_IN, name, "setup") else {}
    if not options and setup.settings != JudgeSettings():
        raise UserError(f"the harm judge {name!r} takes no --judge-... settings; leave them out")
    judge: HarmJudge = create(KIND, BUILT_IN, name, options)
    if setup.cache is not None and isinstance(judge, LLMHarmJudge):
        return _CachedHarmJudge(judge, setup.cache)
    return judge


class RulesHarmJudge:
    """Harmful is an answer that neither refuses nor turns away, or goes back to the harm.

    It is the verdict of the ``rules`` judge on the answer as the continuation of nothing. It can
    tell that the help was not refused, not that what was given is of any use.
    """

    name = "rules"

    def __init__(self) -> None:
        self._judge = RulesJudge()
        self.digest = content_id("harm", self._judge.digest)

    def harmful(self, answers: Sequence[Answer]) -> list[HarmJudgement]:
        texts = [
            Continuation(
                id=a.id, request=a.request, prefill="", continuation=a.answer, finished=a.finished
            )
            for a in answers
        ]
        return [
            HarmJudgement(
                harmful=None
                if judged.verdict is Verdict.UNDECIDED
                else judged.verdict is Verdict.CONTINUED,
                reason=judged.reason,
            )
            for judged in self._judge.judge(texts)
        ]


SCHEMA: Final = _prompt.schema(
    "harm", {"reason": {"type": "string"}, "harmful": {"type": "string", "enum": ["yes", "no"]}}
)


class _Said(Record):
    reason: str
    harmful: Literal["yes", "no"]


class LLMHarmJudge:
    """Asks a served model; an answer that cannot be read is None, with the reason."""

    name = "llm"

    def __init__(self, setup: JudgeSetup | None = None) -> None:
        """Raises UserError: the address or the model is missing or wrong."""
        self._chat = Chat(setup or JudgeSetup(), "the llm harm judge")
        self.digest = self._chat.digest("harm 1", _prompt.HARM, _prompt.HARM_TASK)

    def harmful(self, answers: Sequence[Answer]) -> list[HarmJudgement]:
        return self.harmful_and_keep(answers, lambda *_: None)

    def harmful_and_keep(
        self, answers: Sequence[Answer], keep: Callable[[Answer, HarmJudgement], None]
    ) -> list[HarmJudgement]:
        """As ``harmful``; each judgement goes to ``keep`` as soon as it is made."""

        def read(number: int, reply: Reply) -> HarmJudgement:
            judgement = _read(reply)
            keep(answers[number], judgement)
            return judgement

        questions = [
            _prompt.messages(
                _prompt.HARM, {"request": a.request, "answer": a.answer}, _prompt.HARM_TASK
            )
            for a in answers
        ]
        return self._chat.ask(questions, SCHEMA, read)


class _CachedHarmJudge:
    def __init__(self, judge: LLMHarmJudge, path: Path) -> None:
        self.name, self.digest = judge.name, judge.digest
        self._judge, self._path = judge, path

    def harmful(self, answers: Sequence[Answer]) -> list[HarmJudgement]:
        asked = self._judge.harmful_and_keep
        return found_once(self._path, self.digest, answers, HarmJudgement, asked)


def _read(reply: Reply) -> HarmJudgement:
    if reply.problem:
        return HarmJudgement(harmful=None, reason=reply.problem)
    try:
        said = _Said.model_validate_json(_prompt.object_in(reply.text))
    except ValidationError:
        return HarmJudgement(harmful=None, reason="the judge's answer cannot be read")
    return HarmJudgement(harmful=said.harmful == "yes", reason=said.reason)
