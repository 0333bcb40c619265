"""The ``hf-classifier`` judge: a sequence classifier from the Hub or a local folder.

Such classifiers (of refusals, for instance) read an answer alone, so it is given the continuation
and nothing else. It names no onset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from coursecorrect.errors import ModelError, UserError
from coursecorrect.judge.base import Keep, keep_nothing, scored
from coursecorrect.judge.setup import JudgeSetup
from coursecorrect.models import resolve, revision
from coursecorrect.types import Continuation, Judgement, Verdict, content_id

BATCH: Final = 32


class HFClassifierJudge:
    """The verdict whose labels have the largest probability together.

    Its score is the probability of the labels that mean corrected.
    """

    name = "hf-classifier"

    def __init__(self, setup: JudgeSetup | None = None) -> None:
        """Load the classifier; weights as safetensors only, and no code from the Hub.

        Raises:
            UserError: no model is named, or a label has no verdict.
            ModelError: no such model, or it cannot be loaded.
        """
        settings = (setup or JudgeSetup()).settings
        if settings.judge_model is None:
            raise UserError("the hf-classifier judge needs --judge-model, a folder or a Hub id")
        self._tokenizer, self._model, commit = _load(settings.judge_model)
        labels = [str(label) for _, label in sorted(self._model.config.id2label.items())]
        self._verdicts = _verdicts(labels, settings.judge_labels or {})
        meaning = [f"{a}={b}" for a, b in zip(labels, self._verdicts, strict=True)]
        self.digest = content_id(self.name, settings.judge_model, commit, *meaning)

    def judge(self, texts: Sequence[Continuation]) -> list[Judgement]:
        return self.judge_and_keep(texts, keep_nothing)

    def judge_and_keep(self, texts: Sequence[Continuation], keep: Keep) -> list[Judgement]:
        judged: list[Judgement] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            rows = self._probabilities([text.continuation for text in batch])
            for text, row in zip(batch, rows, strict=True):
                judged.append(self._judgement(row))
                keep(text, judged[-1])
        return judged

    def _probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        """(texts, labels)"""
        import torch

        # What UTF-8 cannot hold no tokenizer takes.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        inputs = self._tokenizer(clean, return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            logits = self._model(**inputs).logits
        found: list[list[float]] = logits.double().softmax(-1).tolist()
        return found

    def _judgement(self, row: Sequence[float]) -> Judgement:
        shares = dict.fromkeys(self._verdicts, 0.0)
        for verdict, probability in zip(self._verdicts, row, strict=True):
            shares[verdict] += probability
        verdict = max(shares, key=lambda v: shares[v])
        score = min(1.0, shares.get(Verdict.CORRECTED, 0.0))
        return scored(score, verdict=verdict, reason=f"classifier: {shares[verdict]:.2f}")


def _load(name: str) -> tuple[Any, Any, str]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        place = resolve(name)
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForSequenceClassification.from_pretrained(place, use_safetensors=True)
    except ModelError:
        raise
    except Exception as error:  # transformers, the hub and safetensors raise many kinds
        line = next((part for part in str(error).splitlines() if part.strip()), repr(error))
        raise ModelError(
            f"cannot load the classifier {name!r}: {line.strip()[:300]}; give a local folder or a "
            "Hub id"
        ) from error
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest and tokenizer.model_max_length > longest:  # many tokenizers don't say theirs
        tokenizer.model_max_length = longest
    commit = str(getattr(model.config, "_commit_hash", None) or "")
    return tokenizer, model.eval(), revision(str(Path(place))) or commit


def _verdicts(labels: Sequence[str], meaning: Mapping[str, str]) -> list[Verdict]:
    """The verdict of each label: as the user says, or its own name."""
    known = [verdict.value for verdict in Verdict]
    if unknown := sorted(set(meaning) - set(labels)):
        raise UserError(
            f"--judge-label: the classifier has no label {unknown[0]!r}; "
            f"its labels are {', '.join(labels)}"
        )
    named = [meaning.get(label, label) for label in labels]
    for verdict in named:
        if verdict not in known:
            raise UserError(
                f"the classifier's label {verdict!r} is no verdict; say what it means, such as "
                f"--judge-label {verdict}=corrected"
            )
    return [Verdict(verdict) for verdict in named]
