"""The ``openai`` corrector: a chat model behind an OpenAI-compatible server.

The endpoints, and the proof that the server goes on with the begun answer as it stands, are those
of the generator (``generate/openai.py``). No journal is kept: the caller keeps finished blocks of
tasks, and a journal would grow to the size of the data set and be read again at every block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from coursecorrect.chat import ChatSettings
from coursecorrect.correct._model import PLAIN, ModelCorrector, model_settings
from coursecorrect.generate.openai import OpenAIGenerator, ServerSettings
from coursecorrect.models import ModelSettings, load_tokenizer

NOWHERE: Final = ServerSettings()
"""No address, which is told when a corrector is made with it."""


class OpenAICorrector(ModelCorrector):
    """Sends one request a task, with the task's seed."""

    name = "openai"

    def __init__(
        self,
        model: str | ModelSettings | None = None,
        *,
        server: ServerSettings = NOWHERE,
        api_key: str | None = None,
        chat: ChatSettings = PLAIN,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """
        Args:
            model: gives the tokenizer, and the name on the server where ``server`` has none.
            server: where the model is, and which endpoint is asked.
            api_key: sent as bearer token, written nowhere.
            chat: system prompt and arguments of the template.
            notice: told which tasks cannot be gone on with.

        Raises:
            UserError: no model or address is given, the address or key is wrong, or the libraries
                of the ``openai`` extra are missing.
            ModelError: the tokenizer cannot be loaded.
            TemplateError: the chat template does not truly continue.
        """
        loaded = load_tokenizer(model_settings(model, self.name))
        # Without a notice: the generator's would tell the cost of each block anew.
        generator = OpenAIGenerator(loaded, server=server, role="corrector", api_key=api_key)
        super().__init__(generator, chat, decided_by=[server.endpoint], notice=notice)
