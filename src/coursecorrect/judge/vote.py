"""Several judges vote: ``rules+encoder+llm``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from coursecorrect.errors import UserError
from coursecorrect.judge.base import Judge
from coursecorrect.types import Continuation, Judgement, Verdict, content_id


class VoteJudge:
    """The verdict that more judges give than any other; a tie is ``undecided``.

    A judge that is undecided has no vote. Onset and relapse are those of the first judge, in the
    order of the names, that gives the winning verdict.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        """Raises UserError: a judge is named twice."""
        self.name = "+".join(judge.name for judge in judges)
        if len({judge.name for judge in judges}) < len(judges):
            raise UserError(f"{self.name} names a judge twice; name each one once")
        self.digest = content_id("vote", *(judge.digest for judge in judges))
        self._judges = tuple(judges)

    def judge(self, texts: Sequence[Continuation]) -> list[Judgement]:
        ballots = zip(*(judge.judge(texts) for judge in self._judges), strict=True)
        return [self._count(ballot) for ballot in ballots]

    def _count(self, ballot: Sequence[Judgement]) -> Judgement:
        said = ", ".join(
            f"{judge.name}: {vote.verdict.value} ({vote.reason})"
            for judge, vote in zip(self._judges, ballot, strict=True)
        )
        votes = Counter(v.verdict for v in ballot if v.verdict is not Verdict.UNDECIDED)
        leading = votes.most_common(2)
        if not leading:
            return Judgement(verdict=Verdict.UNDECIDED, reason=f"no judge decides; {said}")
        if len(leading) > 1 and leading[0][1] == leading[1][1]:
            return Judgement(verdict=Verdict.UNDECIDED, reason=f"the judges disagree; {said}")
        won = next(vote for vote in ballot if vote.verdict is leading[0][0])
        return Judgement(verdict=won.verdict, reason=said, onset=won.onset, relapse=won.relapse)
