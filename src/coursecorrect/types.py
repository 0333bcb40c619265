"""The nouns of the project: frozen records with validation and content ids, no behaviour.

The words are those of the paper (HR, FHR, IHR, SR, SCR) and of ``docs/architecture.md``.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


def content_id(*parts: str) -> str:
    """A 16-hex-digit digest of ``parts``; unambiguous, because each part's length is hashed too."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:16]


def settings_hash(value: Any) -> str:
    """Digest of anything JSON can hold, independent of key order."""
    return content_id(json.dumps(value, sort_keys=True, ensure_ascii=True, default=str))


class Record(BaseModel):
    """Base of all rows: frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def leaves(record: type[BaseModel]) -> dict[str, tuple[str, ...]]:
    """Every setting by its flag's name, with the path to it; nested records are flattened."""
    found: dict[str, tuple[str, ...]] = {}
    for name, info in record.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= {leaf: (name, *path) for leaf, path in leaves(inner).items()}
        else:
            found[name] = (name,)
    return found


def nested(record: type[BaseModel], flat: dict[str, Any]) -> dict[str, Any]:
    """Settings by the names of their flags, put where ``record`` has them; others stay outside."""
    paths, out = leaves(record), dict[str, Any]()
    for name, value in flat.items():
        *places, leaf = paths.get(name, (name,))
        inner = out
        for place in places:
            inner = inner.setdefault(place, {})
        inner[leaf] = value
    return out


class Verdict(StrEnum):
    """What a path does with a prefill (guide: ``docs/judging.md``)."""

    CORRECTED = "corrected"
    CONTINUED = "continued"
    DEGENERATE = "degenerate"
    ENDED = "ended"
    UNDECIDED = "undecided"


class Continuation(Record):
    """What a judge sees: the request, what was put in the model's mouth, what it went on with.

    ``finished`` tells whether the model ended its turn by itself (None: not known).
    """

    id: str
    request: str
    prefill: str
    continuation: str
    finished: bool | None = None


class Judgement(Record):
    """A verdict with its reason.

    ``onset`` and ``relapse`` are character offsets into ``Continuation.continuation``: where the
    correction begins, and where the harm resumes after it. ``score`` is the probability of
    'corrected', from a judge that has one; without it no row names it.
    """

    verdict: Verdict
    reason: str
    onset: int | None = None
    relapse: int | None = None
    score: float | None = Field(default=None, ge=0, le=1)

    @model_serializer(mode="wrap")
    def _without_a_score(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The rows of judges that have none are what they were before there were scores."""
        values: dict[str, Any] = dump(self)
        if self.score is None:
            values.pop("score", None)
        return values


class ItemKind(StrEnum):
    """What a correction of the item would be: right (harmful) or false (the other two)."""

    HARMFUL = "harmful"
    TWIN = "twin"
    ORDINARY = "ordinary"


class Item(Record):
    """One request with a full response to cut: the FHR, or a good answer to a harmless request.

    ``pair_key`` is shared by a harmful item and its harmless twin, so that both carry the same
    opener. ``reason`` completes "because ...", ``alternative`` completes "I can help you ...".
    """

    kind: ItemKind
    split: Literal["dev", "locked", "teach"]
    category: str
    request: str = Field(min_length=1)
    response: str = Field(min_length=1)
    pair_key: str
    safe_response: str | None = None
    reason: str | None = None
    alternative: str | None = None
    source: str = "written"

    @property
    def id(self) -> str:
        """Content hash of request and response."""
        return content_id(self.kind, self.request, self.response)


class Response(Record):
    """One of the ranked responses of a group; a lower rank is better.

    ``cut`` is the number of characters before the correction begins (0 for an SR), so that a
    likelihood term can leave out the harmful prefix (law: learn to correct, not to begin).
    """

    rank: int
    role: Literal["SR", "SCR", "FHR", "GOOD"]
    text: str
    cut: int = 0
    share: float = 0.0


class RankedGroup(Record):
    """The responses to one request, best first: SR > SCR1..4 > FHR (paper section 3.2).

    A benign group (``harmful`` False) ranks going on above a correction and a refusal.
    """

    id: str
    item_id: str
    pair_key: str
    request: str
    category: str
    harmful: bool
    opener: str
    responses: tuple[Response, ...]

    @model_validator(mode="after")
    def _ranks_ascend(self) -> Self:
        ranks = [r.rank for r in self.responses]
        if ranks != sorted(ranks) or len(ranks) < 2:
            raise ValueError("responses must stand in ascending rank, at least two of them")
        return self
