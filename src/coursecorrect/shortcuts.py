"""What a model could learn from preference pairs instead of the lesson.

The lesson of a pair stands in what its responses say. If something cheaper tells the better
response from the worse one, a model may learn that and nothing else. So a classifier that cannot
read is put to the same task: logistic regression on the difference of two responses' features,
tested on requests that it was not fitted on (five folds; a harmful request and its twin share one).

It sees three things and no others:

- **length** after the cut in words, as a binary logarithm, so that one very long answer does not
  set the scale. A response that changes course (SR, SCR) is measured from its own cut. One that
  does not (FHR, GOOD) has none and is measured from the other's: what it still says where the
  other turned away. *Characters* stand beside it as a view of their own: both at once would give
  the mean length of a word, which tells writers apart, not lengths.
- **opener**: which one the response begins with, if any. Under the one-opener law it is the same
  in both and tells nothing.
- **wording**: the first four words after the cut, as a bag of words. Only where both responses are
  SCRs. An SR has no trigger and an FHR goes on with the harm, so beside either the first words
  would say whether there is a trigger, or a turn at all: that is the lesson itself.

Whether and where a trigger stands is hidden for the same reason, and so is what precedes the cut.
*Seen* is all three together. *Total length* stands beside it and is no part of it: where a response
that turns away earlier is shorter as a whole, total length follows from the lesson.

50 % is a coin: nothing cheap tells the two apart. At 60 % the classifier is right in one pair of
ten more than a coin. Up to there we call the pairs clean; above, look at which feature does it.
Each pair is shown in both orders, so there is no side to prefer, and half a hit is counted where a
classifier sees no difference. With few requests the figures lie a little below 50 % where there is
nothing to find. A classifier that is not linear in these features could find more.

Principles are the paper's (section 3.2): 1 is correction over none, 2 earlier over later; 0 stands
for harmless groups, where going on is preferred. A model is taught all pairs at once, so they have
a row too: what points one way in one principle and the other way in another is no shortcut there.

The intervals draw the requests again, not the classifier: it is fitted once a fold.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from math import log2
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from coursecorrect.cut import count_words
from coursecorrect.errors import DataError
from coursecorrect.metrics.bootstrap import Estimate, column_means, exact_if_certain
from coursecorrect.synth.pairs import choose_pairs
from coursecorrect.types import RankedGroup, Record, Response, content_id

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

View = Literal["seen", "length", "opener", "wording", "characters", "total length"]
VIEWS: Final[tuple[View, ...]] = get_args(View)

CLEAN: Final = 0.6
"""Accuracy up to which a principle counts as free of shortcuts."""
MOST_GROUPS: Final = 2000
FOLDS: Final = 5
FEWEST_REQUESTS: Final = 2 * FOLDS
FIRST_WORDS: Final = 4

_SHOWN: Final[Mapping[View, tuple[str, ...]]] = {
    "seen": ("length", "opener", "wording"),
    "length": ("length",),
    "opener": ("opener",),
    "wording": ("wording",),
    "characters": ("characters",),
    "total length": ("total",),
}
_WORD = re.compile(r"\w+(?:['’]\w+)*")
Features = dict[str, float]
Array = NDArray[np.float64]


class Telling(Record):
    """How often the better response of a pair is told by each view alone."""

    principle: int | None
    """None: the pairs of all principles together."""
    roles: str | None
    """``SR > FHR`` and the like, with a classifier of its own; None: all of the principle."""
    pairs: int
    requests: int
    accuracy: dict[View, Estimate]
    """Empty where the requests are too few for five folds."""


class RankWords(Record):
    """The words after the cut at one rank: their mean over groups. An FHR counts as a whole."""

    harmful: bool
    rank: int
    role: str
    words: Estimate


class Shortcuts(Record):
    """The report; ``groups`` of ``of_groups`` were looked at, drawn by a hash of their key."""

    groups: int
    of_groups: int
    seed: int
    rows: tuple[Telling, ...]
    words: tuple[RankWords, ...]

    def of(self, number: int | None) -> Telling:
        """The row over all pairs of a principle, or over all there are."""
        return next(r for r in self.rows if r.principle == number and r.roles is None)


class _Pair(NamedTuple):
    principle: int
    roles: str
    request: str
    difference: Features


def shortcuts(groups: Iterable[RankedGroup], seed: int = 0, most: int = MOST_GROUPS) -> Shortcuts:
    """How well length, opener and wording tell the better response, by principle.

    Args:
        groups: read once and not kept, so they may come from a stream.
        seed: decides the sample and the intervals.
        most: above so many groups a sample is taken.

    Raises:
        DataError: there are no groups.
    """
    number = count()
    sample = heapq.nsmallest(
        most,
        (group for group, _ in zip(groups, number, strict=False)),
        key=lambda group: (content_id(str(seed), group.pair_key), group.id),
    )
    if not sample:
        raise DataError("there are no groups to look for shortcuts in")
    requests = _requests(sample)
    pairs = [pair for group in sample for pair in _pairs(group, requests[group.id])]
    return Shortcuts(
        groups=len(sample),
        of_groups=next(number),
        seed=seed,
        rows=tuple(_rows(pairs, seed)),
        words=tuple(_words(sample, requests, seed)),
    )


def _requests(groups: Sequence[RankedGroup]) -> dict[str, str]:
    """A name of each group's request, by id; one for all that share a request or a pair key."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    nodes: defaultdict[tuple[str, str], int] = defaultdict(count().__next__)
    links = [(nodes["key", g.pair_key], nodes["request", g.request]) for g in groups]
    starts, ends = zip(*links, strict=True)
    graph = coo_matrix((np.ones(len(links)), (starts, ends)), shape=(len(nodes), len(nodes)))
    _, parts = connected_components(graph, directed=False)
    return {g.id: f"{parts[start]:08d}" for g, start in zip(groups, starts, strict=True)}


def _pairs(group: RankedGroup, request: str) -> Iterator[_Pair]:
    for pair in choose_pairs(group):
        better, worse = group.responses[pair.better], group.responses[pair.worse]
        yield _Pair(
            principle=pair.principle,
            roles=f"{better.role} > {worse.role}",
            request=request,
            difference=_difference(
                _features(better, worse, group.opener), _features(worse, better, group.opener)
            ),
        )


def _difference(better: Features, worse: Features) -> Features:
    found = {name: better.get(name, 0.0) - worse.get(name, 0.0) for name in better | worse}
    return {name: value for name, value in found.items() if value}


def _features(response: Response, other: Response, opener: str) -> Features:
    text = response.text
    after = text[_own_cut(response, other, opener) :].strip()
    found = {
        "length": log2(1 + count_words(after)),
        "characters": log2(1 + len(after)),
        "total": log2(1 + count_words(text)),
    }
    if _start(text, opener):
        found[f"opener {opener}"] = 1.0
    if response.role == other.role == "SCR":
        for word in _WORD.findall(after)[:FIRST_WORDS]:
            name = f"wording {word.casefold()}"
            found[name] = found.get(name, 0.0) + 1
    return found


def _own_cut(response: Response, other: Response, opener: str) -> int:
    """Where the response is measured from; in that of the other, openers may differ."""
    if response.role in ("SR", "SCR"):
        return response.cut
    return other.cut - _start(other.text, opener) + _start(response.text, opener)


def _start(text: str, opener: str) -> int:
    """Characters of the opener and the space after it; 0 where the text has none."""
    if not opener or not text.startswith(opener):
        return 0
    return len(text) - len(text[len(opener) :].lstrip())


def _rows(pairs: Sequence[_Pair], seed: int) -> Iterator[Telling]:
    by_row: defaultdict[tuple[int | None, str | None], list[_Pair]] = defaultdict(list)
    for pair in pairs:
        by_row[None, None].append(pair)
        by_row[pair.principle, None].append(pair)
        by_row[pair.principle, pair.roles].append(pair)
    order = sorted(by_row, key=lambda row: (row[0] is not None, row[0] or 0, row[1] or ""))
    for principle, roles in order:
        members = by_row[principle, roles]
        requests = len({pair.request for pair in members})
        yield Telling(
            principle=principle,
            roles=roles,
            pairs=len(members),
            requests=requests,
            accuracy=_accuracies(members, seed) if requests >= FEWEST_REQUESTS else {},
        )


def _accuracies(pairs: Sequence[_Pair], seed: int) -> dict[View, Estimate]:
    from sklearn.feature_extraction import DictVectorizer

    requests = [pair.request for pair in pairs]
    vectors = DictVectorizer()
    table = vectors.fit_transform([pair.difference for pair in pairs]).tocsr()
    kinds = np.asarray([name.split()[0] for name in vectors.get_feature_names_out()], dtype=str)
    hits = {
        view: _hits(table[:, np.flatnonzero(np.isin(kinds, shown))], requests)
        for view, shown in _SHOWN.items()
    }
    means = column_means(requests, {view: found.tolist() for view, found in hits.items()}, seed)
    return {
        view: exact_if_certain(
            means[view], never=bool((found == 0).all()), always=bool((found == 1).all())
        )
        for view, found in hits.items()
    }


def _hits(table: csr_matrix, requests: Sequence[str]) -> Array:
    """For each pair: 1 where its better response is told, 0 where the worse is taken, else ½."""
    hits = np.full(table.shape[0], 0.5)
    if table.shape[1]:
        for taught, tested in folds(requests):
            margin = table[tested] @ _weights(table[taught])
            hits[tested] = (np.sign(margin) + 1) / 2
    return hits


def folds(requests: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Indices to fit on and to test on; a request is never in both."""
    from sklearn.model_selection import GroupKFold

    yield from GroupKFold(FOLDS).split(requests, groups=requests)


def _weights(better_minus_worse: csr_matrix) -> Array:
    """Logistic regression without a constant: with both orders shown, it has nothing to hold."""
    from scipy.sparse import vstack
    from sklearn.linear_model import LogisticRegression

    rows = better_minus_worse.shape[0]
    model = LogisticRegression(fit_intercept=False, max_iter=1000)
    model.fit(vstack([better_minus_worse, -better_minus_worse]), [1] * rows + [0] * rows)
    weights: Array = model.coef_[0]
    return weights


def _words(
    groups: Sequence[RankedGroup], requests: Mapping[str, str], seed: int
) -> Iterator[RankWords]:
    by_rank: defaultdict[tuple[bool, int, str], list[tuple[str, int]]] = defaultdict(list)
    for group in groups:
        for response in group.responses:
            cut = max(response.cut, _start(response.text, group.opener))
            found = requests[group.id], count_words(response.text[cut:])
            by_rank[not group.harmful, response.rank, response.role].append(found)
    for (harmless, rank, role), rows in sorted(by_rank.items()):
        means = column_means([key for key, _ in rows], {"words": [n for _, n in rows]}, seed)
        yield RankWords(harmful=not harmless, rank=rank, role=role, words=means["words"])
