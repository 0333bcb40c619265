"""Judges, found by name (entry-point group ``coursecorrect.judges``)."""

from __future__ import annotations

from typing import Final

from coursecorrect.errors import UserError
from coursecorrect.judge.base import CostlyJudge, Judge
from coursecorrect.judge.cache import CachedJudge
from coursecorrect.judge.setup import JudgeSettings, JudgeSetup
from coursecorrect.judge.vote import VoteJudge
from coursecorrect.registry import create, takes

__all__ = ["BUILT_IN", "Judge", "JudgeSettings", "JudgeSetup", "get_judge"]

BUILT_IN: Final[dict[str, str]] = {
    "rules": "coursecorrect.judge.rules:RulesJudge",
    "lexical": "coursecorrect.judge.lexical:LexicalJudge",
    "llm": "coursecorrect.judge.llm:LLMJudge",
    "encoder": "coursecorrect.judge.encoder:EncoderJudge",
    "hf-classifier": "coursecorrect.judge.hf_classifier:HFClassifierJudge",
}


def get_judge(name: str, setup: JudgeSetup | None = None) -> Judge:
    """The judge called ``name``; names joined by ``+`` vote.

    Raises:
        UserError: an unknown name, or settings that none of these judges takes.
    """
    setup = setup or JudgeSetup()
    names = name.split("+")
    if setup.settings != JudgeSettings() and not any(_takes_setup(one) for one in names):
        raise UserError(f"the judge {name!r} takes no --judge-... settings; leave them out")
    judges = [_one(one, setup) for one in names]
    return judges[0] if len(judges) == 1 else VoteJudge(judges)


def _takes_setup(name: str) -> bool:
    return takes("judge", BUILT_IN, name, "setup")


def _one(name: str, setup: JudgeSetup) -> Judge:
    options = {"setup": setup} if _takes_setup(name) else {}
    judge: Judge = create("judge", BUILT_IN, name, options)
    if setup.cache is not None and isinstance(judge, CostlyJudge):
        return CachedJudge(judge, setup.cache)
    return judge
