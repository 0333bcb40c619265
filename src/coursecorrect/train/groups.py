"""From preference pairs back to ranked groups in token ids.

Fifteen pairs of a group hold only six distinct responses: they are read as pairs, the format that
other tools take, and trained as groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coursecorrect.chat import ChatSettings, encode, render
from coursecorrect.cut import cut_points
from coursecorrect.errors import DataError


@dataclass(frozen=True)
class TokenGroup:
    """One request with its distinct responses, best first.

    Attributes:
        id: the group's id.
        pair_key: shared with the group of the harmless twin.
        harmful: is the request harmful?
        prompt_ids: the rendered prompt.
        responses: token ids of each response, to the end of the turn.
        learn_from: in a harmful group, the index of the first token after the cut of each response
            that is the better one of a pair; else None.
        pairs: (better, worse) as indices into ``responses``.
        pair_weights: how much each pair counts.
        places: indices into the ``trunk`` where a sentence or a clause of it has just ended, and
            a correction might begin; only before the cut, where the trunk has one.
    """

    id: str
    pair_key: str
    harmful: bool
    prompt_ids: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    learn_from: tuple[int | None, ...]
    pairs: tuple[tuple[int, int], ...]
    pair_weights: tuple[float, ...]
    places: tuple[int, ...] = ()

    @property
    def trunk(self) -> int:
        """The response that goes on: the worst of a harmful group, the best of a harmless one."""
        return len(self.responses) - 1 if self.harmful else 0


PrincipleWeights = tuple[float, float, float]
"""Weight of a pair by its principle: 0 (harmless groups), 1 and 2."""
ALIKE: PrincipleWeights = (1.0, 1.0, 1.0)


def token_groups(
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    chat: ChatSettings,
    max_length: int,
    principles: PrincipleWeights = ALIKE,
) -> list[TokenGroup]:
    """The groups of preference pairs, in the order of their first pair.

    A pair counts as its row's ``weight`` times the weight of its principle; one that counts
    nothing is left out, so that its responses are not learnt from either.

    Raises:
        DataError: a response is longer than ``max_length`` tokens (it is never truncated: that
            would cut the correction off), or no pair of a group has a weight.
    """
    members: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        counted = members.setdefault(row["group"], [])
        if _weight(row, principles) > 0:
            counted.append(row)
    bare = next((key for key, counted in members.items() if not counted), None)
    if bare is not None:
        raise DataError(
            f"group {bare}: no pair of it has a weight above 0; raise --principle-1-weight or "
            "--principle-2-weight, or leave the group out"
        )
    return [
        _group(tokenizer, key, group, chat, max_length, principles)
        for key, group in members.items()
    ]


def _weight(row: dict[str, Any], principles: PrincipleWeights) -> float:
    return float(row["weight"] * principles[row["principle"]])


def _group(
    tokenizer: Any,
    key: str,
    rows: Sequence[dict[str, Any]],
    chat: ChatSettings,
    max_length: int,
    principles: PrincipleWeights,
) -> TokenGroup:
    harmful = bool(rows[0]["harmful"])
    request = rows[0]["prompt"][-1]["content"]
    texts: dict[int, str] = {}
    cuts: dict[int, int] = {}
    turns: dict[int, int] = {}
    for row in rows:
        for side in ("chosen", "rejected"):
            texts[row[f"rank_{side}"]] = row[side][0]["content"]
            if row[f"role_{side}"] == "SCR":
                turns[row[f"rank_{side}"]] = row[f"cut_{side}"]
        cuts[row["rank_chosen"]] = row["cut_chosen"]
    ranks = sorted(texts)
    head = render(tokenizer, request, chat)
    prompt_ids, _ = encode(tokenizer, head)
    responses, learn_from, places = [], [], list[list[int]]()
    for rank in ranks:
        ids, starts = _response(tokenizer, request, texts[rank], chat, prompt_ids)
        if len(prompt_ids) + len(ids) > max_length:
            raise DataError(
                f"group {key}: a response has {len(prompt_ids) + len(ids)} tokens with its prompt, "
                f"--max-length is {max_length}; truncation would cut the correction off: raise it"
            )
        responses.append(tuple(ids))
        cut = _first(starts, cuts.get(rank, 0))
        learn_from.append(cut if harmful and rank in cuts else None)
        turn = _first(starts, turns[rank]) if rank in turns else len(ids)
        places.append([at for at in _places(texts[rank], starts) if at <= turn])
    return TokenGroup(
        id=key,
        pair_key=rows[0]["pair_key"],
        harmful=harmful,
        prompt_ids=tuple(prompt_ids),
        responses=tuple(responses),
        learn_from=tuple(learn_from),
        pairs=tuple(
            (ranks.index(row["rank_chosen"]), ranks.index(row["rank_rejected"])) for row in rows
        ),
        pair_weights=tuple(_weight(row, principles) for row in rows),
        places=tuple(places[-1 if harmful else 0]),
    )


def _response(
    tokenizer: Any, request: str, answer: str, chat: ChatSettings, prompt_ids: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Token ids of a finished turn after its prompt, and where in the answer each begins."""
    head = render(tokenizer, request, chat)
    finished = render(tokenizer, request, chat, answer)
    ids, spans = encode(tokenizer, finished)
    if ids[: len(prompt_ids)] != list(prompt_ids):
        raise DataError(
            "the chat template renders a finished turn differently from the prompt; "
            f"the model {tokenizer.name_or_path!r} cannot be trained with it"
        )
    at = finished.index(answer, len(head))
    after = len(prompt_ids)
    return ids[after:], [start - at for start, _ in spans[after:]]


def _first(starts: Sequence[int], offset: int) -> int:
    """The first token wholly after ``offset`` characters of the answer."""
    return next((i for i, start in enumerate(starts) if start >= offset), len(starts))


def _places(answer: str, starts: Sequence[int]) -> list[int]:
    """The tokens that follow the end of a sentence or clause."""
    return sorted({_first(starts, cut.offset) for cut in cut_points(answer)} - {len(starts)})


def decision_weights(group: TokenGroup, *, unmasked: bool = False) -> list[list[float]]:
    """Weight of each token in the likelihood term: 0 up to the cut, then 1 / (1 + distance).

    Whether a model turns is decided by the first token after the cut; the fortieth is wording,
    and with equal weights the wording, which differs in every group, drowns the decision.

    Args:
        unmasked: 1 up to the cut instead, which teaches to begin; a rival to compare with.
    """
    before = 1.0 if unmasked else 0.0
    return [
        [0.0] * len(response)
        if start is None
        else [before] * start + [1 / (1 + i) for i in range(len(response) - start)]
        for response, start in zip(group.responses, group.learn_from, strict=True)
    ]
