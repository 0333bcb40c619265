"""Rows that say again what an earlier row of the same kind said."""

from __future__ import annotations

import hashlib

import numpy as np
from rensa import RMinHashDeduplicator

from coursecorrect.data.words import Hashes, WordRuns
from coursecorrect.types import ItemKind

SLOTS = 128
"""Slots of a MinHash at most; the estimate of a similarity of 0.8 has a standard error of 0.035."""
SHINGLE = 5
"""Words of a shingle."""
_RECALL = 0.99  # share of the pairs just at the threshold that become candidates


class ExactDuplicates:
    """Finds rows with the same request and answer but for case, punctuation and spacing.

    That covers rows with the same item id, whose texts are the same to the letter. Rows of
    different kinds are never duplicates of each other.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}

    def seen(self, kind: ItemKind, request: WordRuns, answer: WordRuns, row: int) -> int | None:
        """The number of the first such row; None for a new ``row``, which is remembered."""
        text = f"{kind}\n{request.text}\n{answer.text}".encode()
        key = hashlib.blake2b(text, digest_size=16).digest()
        first = self._first.setdefault(key, row)
        return None if first == row else first


class NearDuplicates:
    """Finds rows whose shingles are much like those of an earlier row that was kept (MinHash-LSH).

    The similarity is estimated over request and answer together, and only among rows of one kind:
    a harmless twin is much like its harmful item on purpose.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._bands, self._rows = _banding(threshold)
        self._kept: dict[ItemKind, RMinHashDeduplicator] = {}

    def seen(self, kind: ItemKind, shingles: Hashes, row: int) -> int | None:
        """The number of the first row alike; None for a new ``row``, which is remembered."""
        kept = self._kept.get(kind)
        if kept is None:
            kept = self._kept[kind] = RMinHashDeduplicator(
                self._threshold, self._bands * self._rows, use_lsh=True, num_bands=self._bands
            )
        tokens = shingles.view("V8").tolist()  # each hash as eight bytes
        if kept.add_pairs([(str(row), tokens)])[0]:
            return None
        (alike,) = kept.get_duplicate_sets([tokens])
        return min(map(int, alike))


def shingles_of(request: WordRuns, answer: WordRuns) -> Hashes:
    """The runs of five words in either text; a text with fewer words is one run."""
    return np.concatenate([text.hashes(min(SHINGLE, len(text))) for text in (request, answer)])


def _banding(threshold: float) -> tuple[int, int]:
    """Bands and their rows: the fewest bands, for memory, that miss hardly any pair.

    A pair at the threshold t is a candidate with probability 1 - (1 - t^rows)^bands.
    """
    for rows in range(SLOTS, 1, -1):
        bands = SLOTS // rows
        if 1 - (1 - threshold**rows) ** bands >= _RECALL:
            return bands, rows
    return SLOTS, 1
