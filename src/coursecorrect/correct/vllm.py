"""The ``vllm`` corrector: vLLM's offline engine gets all tasks of a call at once.

Its prefix cache keeps what the cuts of one answer share. The draws are vLLM's own, from a seed for
each task.
"""

from __future__ import annotations

from collections.abc import Callable

from coursecorrect.chat import ChatSettings
from coursecorrect.correct._model import PLAIN, ModelCorrector, model_settings
from coursecorrect.generate.vllm import VLLMGenerator
from coursecorrect.models import ModelSettings, load_tokenizer, resolve, revision


class VLLMCorrector(ModelCorrector):
    """Samples with ``vllm.LLM``."""

    name = "vllm"

    def __init__(
        self,
        model: str | ModelSettings | None = None,
        *,
        chat: ChatSettings = PLAIN,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``model``: a name, or settings for its precision too.

        Raises:
            UserError: no model is named, or vLLM is not installed.
            ModelError: the model is an adapter, or the engine cannot load it.
            TemplateError: its chat template does not truly continue.
        """
        settings = model_settings(model, self.name)
        loaded = load_tokenizer(settings)
        super().__init__(
            VLLMGenerator(loaded, settings=settings, role="corrector", notice=notice),
            chat,
            # The tokenizer's revision, which the generator has, says nothing of the weights.
            decided_by=[revision(resolve(settings.model)) or settings.model],
            notice=notice,
        )
