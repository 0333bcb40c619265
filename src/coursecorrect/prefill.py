"""Prefills: pure functions from a request and a harmful answer to token ids that nest.

The prompt, the opener and the answer are tokenised once, together; every shorter prefill is a
prefix of the same ids. ``k`` counts tokens of the answer itself (paper section 3.1; the opener is
not counted) unless :class:`Cuts` says otherwise. The proof of true continuation (law in
``docs/architecture.md``) is made here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from coursecorrect.chat import ChatSettings, decode, encode, render
from coursecorrect.errors import TemplateError
from coursecorrect.turn import Turn, assistant_turn, difference

NO_PREFILL = -1
"""The anchor that measures the bare request."""
OPENER_ONLY = 0
"""The anchor that puts only the opener in the model's mouth."""

Unit = Literal["tokens", "words"]


@dataclass(frozen=True)
class Cuts:
    """What k counts, and whether the turn is left open; the defaults are the protocol ``strict``.

    The other values are what the paper's public code does.

    Attributes:
        unit: tokens of the model's own tokenizer, or words, which end at the same character for
            every model.
        count_opener: k counts the opener too.
        close_turn: the turn is closed after the prefill and a new one is opened.
    """

    unit: Unit = "tokens"
    count_opener: bool = False
    close_turn: bool = False


STRICT = Cuts()


@dataclass(frozen=True)
class Prefill:
    """One answer in token ids, with the number of ids to keep at each k.

    Attributes:
        prompt_ids: the rendered prompt alone, as the model would see the bare request.
        ids: all that stands before the answer, and the answer up to the last of ``lengths``.
        lengths: k (0: opener only) to the number of ``ids`` to keep.
        apart: k to ids of its own, where they do not begin ``ids``: a word that ends inside a
            token, or a turn that is closed.
        texts: k to the text of opener and answer that is prefilled.
        boundary_merge: how many tokens of the prompt change when the assistant's text follows
            (0 for almost all tokenizers); declared in the run folder.
        turn: what stands around the text.
    """

    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    lengths: Mapping[int, int]
    apart: Mapping[int, tuple[int, ...]]
    texts: Mapping[int, str]
    boundary_merge: int
    turn: Turn

    @property
    def ks(self) -> tuple[int, ...]:
        """Every k, ascending."""
        return tuple(sorted(self.texts))

    def start(self, k: int) -> tuple[int, ...]:
        """The ids that the model goes on from."""
        return self.apart[k] if k in self.apart else self.ids[: self.lengths[k]]


def assistant_text(opener: str, answer: str) -> str:
    """Opener and answer as one assistant turn; a list starts on its own line."""
    answer = answer.strip()
    if not opener:
        return answer
    first = answer.split(maxsplit=1)[0] if answer else ""
    is_list = first[:1] in "-*•" or (first[:1].isdigit() and first[-1:] in ".)")
    return f"{opener}{chr(10) if is_list else ' '}{answer}"


def build_prefill(
    tokenizer: Any,
    chat: ChatSettings,
    *,
    request: str,
    opener: str,
    answer: str,
    ks: Sequence[int],
    cuts: Cuts = STRICT,
) -> Prefill | None:
    """Cut an answer at every k of ``ks``, by default in tokens of the answer.

    Returns None when the answer has fewer tokens (words) than the largest k, so that a run can
    leave the item out and count it.

    Raises:
        TemplateError: the template does not truly continue (see :func:`prove_continuation`).
    """
    text = assistant_text(opener, answer)
    turn = assistant_turn(tokenizer, chat, request, text)
    whole = turn.head + text
    ids, spans = encode(tokenizer, whole)
    prompt_ids, head_ids = _ids(tokenizer, turn.prompt), _ids(tokenizer, turn.head)
    at = len(whole) - len(answer.strip())
    counted = len(turn.head) if cuts.count_opener else at
    wanted = sorted(k for k in ks if k >= OPENER_ONLY)
    if cuts.unit == "words":
        ends = _word_ends(whole, counted, len(turn.head) + len(opener), wanted)
        lengths = _whole_tokens(spans, ends)
        texts = {k: whole[len(turn.head) : end] for k, end in ends.items()}
    else:
        lengths = _token_lengths(spans, counted, at, wanted)
        ends = {k: spans[n - 1][1] for k, n in lengths.items()}
        # A character of which only some bytes are kept ends in U+FFFD.
        head = decode(tokenizer, head_ids).rstrip("\ufffd")
        texts = {k: decode(tokenizer, ids[:n])[len(head) :] for k, n in lengths.items()}
    if len(ends) < len(wanted):
        return None
    apart = {k: _ids(tokenizer, whole[: ends[k]]) for k in wanted if k not in lengths}
    prefix = tuple(ids[: max(lengths.values(), default=0)])
    starts = [prefix, *apart.values()]
    prove_continuation(tokenizer, turn, whole, starts, max(ends.values()), len(head_ids))
    if cuts.close_turn:
        begun = {k: whole[len(turn.head) : ends[k]] for k in wanted}
        apart = {
            k: _ids(tokenizer, render(tokenizer, request, chat, begun[k], new_turn=True))
            for k in wanted
        }
        prefix, lengths = (), {}
    shared = prompt_ids if turn.head.startswith(turn.prompt) else head_ids
    merge = len(shared) - _common(shared, ids)
    return Prefill(prompt_ids, prefix, lengths, apart, texts, merge, turn)


def _ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(encode(tokenizer, text)[0])


def _token_lengths(
    spans: Sequence[tuple[int, int]], counted: int, answer_at: int, ks: Sequence[int]
) -> dict[int, int]:
    """k to the number of ids to keep, for every k that the text has tokens for.

    A token belongs to the answer when it ends inside it; one that straddles opener and answer (a
    merged space) is the answer's first token.
    """
    ends = [end for _, end in spans]
    first = bisect_right(ends, counted)
    lengths = {k: first + k if k else bisect_right(ends, answer_at) for k in ks}
    return {k: n for k, n in lengths.items() if n <= len(spans)}


def _word_ends(whole: str, counted: int, opener_end: int, ks: Sequence[int]) -> dict[int, int]:
    """k to the character after the k-th word, for every k that the text has words for."""
    ends = [opener_end, *(counted + m.end() for m in re.finditer(r"\S+", whole[counted:]))]
    return {k: ends[k] for k in ks if k < len(ends)}


def _whole_tokens(spans: Sequence[tuple[int, int]], ends: Mapping[int, int]) -> dict[int, int]:
    """k to the number of tokens up to its end, for every end that is also the end of a token."""
    stops = [stop for _, stop in spans]
    found = {k: bisect_right(stops, end) for k, end in ends.items()}
    return {
        k: n
        for k, n in found.items()
        if n and stops[n - 1] == ends[k] and (n == len(spans) or spans[n][0] >= ends[k])
    }


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids two sequences begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def prove_continuation(
    tokenizer: Any,
    turn: Turn,
    whole: str,
    starts: Sequence[Sequence[int]],
    end: int,
    head_length: int,
) -> None:
    """Check that what stands before the cut is how the finished turn begins, text and ids.

    What the template does behind the cut does not matter: it may trim, and must close the turn.
    Where a cut is the end of the text, or of a word, the last token may be one that would have
    been joined to what follows.

    Args:
        tokenizer: whose ids they are.
        turn: the finished turn.
        whole: head and text as they are meant to be.
        starts: the ids of the longest prefill, and of those that stand apart.
        end: the last cut, a character of ``whole``.
        head_length: how many ids the head has.

    Raises:
        TemplateError: the template trims or rewrites the text, or an end of turn stands in it.
    """
    if turn.finished[:end] != whole[:end]:
        raise TemplateError(
            "the chat template changes the assistant's text "
            f"({difference(turn.finished, whole)}): the prefill would not be continued"
        )
    finished_ids, _ = encode(tokenizer, turn.finished)
    longest = starts[0]
    at = _common(finished_ids, longest)
    if at < len(longest) - (end == len(whole)):
        raise TemplateError(
            f"prompt and prefill tokenise differently from the finished turn at token {at} "
            f"({tokenizer.decode(list(longest)[at : at + 1])!r})"
        )
    end_ids = _end_ids(tokenizer, turn, whole)
    if any(end_ids & set(ids[head_length:]) for ids in starts):
        raise TemplateError("an end-of-turn token stands inside the prefill")


def _end_ids(tokenizer: Any, turn: Turn, whole: str) -> set[int]:
    """Tokens that end a turn: the tokenizer's own, and the one with which the template closes."""
    eos = getattr(tokenizer, "eos_token_id", None)
    found = set() if eos is None else {int(eos)}
    if turn.finished.startswith(whole):
        closing, _ = encode(tokenizer, turn.finished[len(whole) :].lstrip())
        found |= set(closing[:1]) & set(tokenizer.added_tokens_decoder)
    return found
