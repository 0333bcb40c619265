"""The one seam every generator implements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import Field

from coursecorrect.chat import decode
from coursecorrect.types import Record, content_id

Role = Literal["generator", "corrector"]
"""What an engine runs for; named in messages to the user."""


class Sampling(Record):
    """How paths are sampled; the defaults are the paper's (b = 20 there)."""

    paths: int = Field(default=4, ge=1)
    """Paths sampled at every prefill (the paper's b is 20)."""
    max_new_tokens: int = Field(default=32, ge=1)
    """New tokens of each path (the paper's m)."""
    temperature: float = Field(default=0.8, ge=0)
    """Sampling temperature; 0 is greedy."""
    top_p: float = Field(default=0.7, gt=0, le=1)
    """Mass of the nucleus that is sampled from."""
    seed: int = 0
    """Decides every draw, together with the item, k and path."""


@dataclass(frozen=True)
class Job:
    """Token ids to continue, at several lengths at once.

    Attributes:
        key: identifies the draws; together with k, path and seed it fixes every random number.
        ids: the longest prefix.
        lengths: (k, number of ids to keep) for each point.
        conversation: (role, text) of each message before the answer, for servers that render it.
        prompt: number of ids before the answer begins.
    """

    key: str
    ids: tuple[int, ...]
    lengths: tuple[tuple[int, int], ...]
    conversation: tuple[tuple[str, str], ...] = ()
    prompt: int = 0


@dataclass(frozen=True)
class Path:
    """One sampled continuation."""

    k: int
    index: int
    ids: tuple[int, ...]
    finished: bool
    """The model ended its turn by itself."""
    text: str | None = None
    """The continuation where a server gives text: ``ids`` are then the local tokenizer's ids of it,
    which count its tokens and need not be the ones that were sampled."""


class Generator(Protocol):
    """A model that truly continues token ids."""

    name: str
    digest: str
    """What decides its text: the model's revision and the precision."""
    tokenizer: Any

    def sample(
        self, batches: Sequence[Sequence[Job]], sampling: Sampling
    ) -> Iterator[list[list[Path]]]:
        """For each batch of jobs, in order: for each job its paths, sorted by (k, index).

        What shares a batch is decided by the caller, from item ids and settings alone.
        """
        ...


def seed_of(seed: int, key: str, k: int) -> int:
    """A seed of 31 bits, which every server takes; other items, k and seeds have other ones."""
    return int(content_id(str(seed), key, str(k)), 16) & 0x7FFFFFFF


def continuation_text(tokenizer: Any, before: Sequence[int], after: Sequence[int]) -> str:
    """The text that ``after`` adds to ``before``; slices ids, so no string has to be found.

    A character whose bytes are split between the two belongs to the continuation.
    """
    head = decode(tokenizer, before).rstrip("\ufffd")
    return decode(tokenizer, [*before, *after])[len(head) :]
