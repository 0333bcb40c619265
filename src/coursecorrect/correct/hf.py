"""The ``hf`` corrector: a chat model goes on after the trigger (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from coursecorrect.chat import ChatSettings, encode, render
from coursecorrect.correct.base import CorrectionTask
from coursecorrect.cut import whole_sentences
from coursecorrect.errors import UserError
from coursecorrect.models import ModelSettings, load
from coursecorrect.types import settings_hash


class HFCorrector:
    """Samples the correction from a model, with a seed for each task."""

    name = "hf"

    def __init__(self, model: str | None = None, max_new_tokens: int = 64) -> None:
        if model is None:
            raise UserError("the hf corrector needs a model: give --corrector-model")
        self.max_new_tokens = max_new_tokens
        self.loaded = load(ModelSettings(model=model))
        self.digest = settings_hash([self.name, model, self.loaded.revision, max_new_tokens])

    def correct(self, tasks: Sequence[CorrectionTask]) -> list[str]:
        return [self._correct(task) for task in tasks]

    @torch.inference_mode()
    def _correct(self, task: CorrectionTask) -> str:
        tokenizer, model = self.loaded.tokenizer, self.loaded.model
        prompt = render(tokenizer, task.request, ChatSettings())
        ids, _ = encode(tokenizer, prompt + task.begun)
        with torch.random.fork_rng():
            torch.manual_seed(task.seed)
            out = model.generate(
                torch.tensor([ids], device=model.device),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=model.device),
                do_sample=True,
                temperature=0.7,
                top_p=0.9,
                top_k=0,
                max_new_tokens=self.max_new_tokens,
                pad_token_id=_pad_id(tokenizer),
            )
        return whole_sentences(tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True))


def _pad_id(tokenizer: Any) -> int:
    pad = tokenizer.pad_token_id
    return int(tokenizer.eos_token_id if pad is None else pad)
