"""Distinct-n: how varied the text of the continuations is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from coursecorrect.data.words import normalized
from coursecorrect.metrics.bootstrap import column_means
from coursecorrect.metrics.paths import JudgedPath

SIZES = (1, 2, 3)
"""Words in a run."""


def distinct(texts: Iterable[str], size: int) -> float:
    """Different runs of ``size`` words over all such runs in ``texts``; 0 where there is none.

    Distinct-n of Li et al. (2016, arXiv 1510.03055), who divide by the number of tokens. Divided by
    the number of runs it is 1 where no run comes twice, at every size and however many texts it
    is in. No run goes from one text into the next. A word is what ``data.words`` takes for one:
    without case and punctuation, and in scripts without spaces a character.
    """
    runs = [run for text in texts for run in _runs(normalized(text).split(), size)]
    return len(set(runs)) / len(runs) if runs else 0.0


def _runs(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(size)), strict=False)


def item_distinct(paths: Iterable[JudgedPath]) -> tuple[list[str], dict[int, list[float]]]:
    """Per item: its key, and distinct-n of all its continuations together, by n.

    Li et al. take all responses of a system together. Such a figure falls with the number of items
    alone, and drawing requests again would lower it once more; within an item the number of
    continuations is always the same.
    """
    texts: dict[str, list[str]] = {}
    keys: dict[str, str] = {}
    for path in paths:
        texts.setdefault(path.item, []).append(path.text)
        keys[path.item] = path.key
    return [*keys.values()], {n: [distinct(own, n) for own in texts.values()] for n in SIZES}


def distinct_results(paths: Iterable[JudgedPath], seed: int = 0) -> dict[str, Any]:
    """Distinct-n by n, the mean over items."""
    keys, columns = item_distinct(paths)
    means = column_means(keys, {str(n): column for n, column in columns.items()}, seed)
    return {n: found.model_dump() for n, found in means.items()}
