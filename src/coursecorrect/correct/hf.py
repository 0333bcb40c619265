"""The ``hf`` corrector: a chat model that transformers loads, many tasks at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from coursecorrect.chat import ChatSettings
from coursecorrect.correct._model import PLAIN, ModelCorrector, model_settings
from coursecorrect.generate.hf import HFGenerator
from coursecorrect.models import ModelSettings, load

ROWS: Final = 32
"""Tasks decoded together: each has a prefix of its own in memory, unlike the paths of an item."""


class HFCorrector(ModelCorrector):
    """Samples with the project's own decoder."""

    name = "hf"

    def __init__(
        self,
        model: str | ModelSettings | None = None,
        *,
        chat: ChatSettings = PLAIN,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``model``: a name, or settings for its precision and device too.

        Raises:
            UserError: no model is named.
            ModelError: it cannot be loaded.
            TemplateError: its chat template does not truly continue.
        """
        loaded = load(model_settings(model, self.name))
        super().__init__(HFGenerator(loaded, notice=notice), chat, rows=ROWS, notice=notice)
