"""What the correctors share that let a chat model go on after the trigger (paper section 3.2).

The model is run by a generator, so a begun answer is truly continued, and every task has draws of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from coursecorrect.chat import ChatSettings, encode, messages
from coursecorrect.correct.base import CorrectionTask
from coursecorrect.cut import whole_sentences
from coursecorrect.errors import ModelError, TemplateError, UserError
from coursecorrect.generate.base import Generator, Job, Path, Sampling
from coursecorrect.models import ModelSettings
from coursecorrect.prefill import prove_continuation
from coursecorrect.turn import assistant_turn
from coursecorrect.types import settings_hash

SAMPLING: Final = Sampling(paths=1, max_new_tokens=64, temperature=0.7, top_p=0.9)
"""How corrections are sampled; what comes after the last whole sentence is then cut off."""

PLAIN: Final = ChatSettings()
"""The template as it is, with its own system prompt."""

_PROBE: Final = CorrectionTask(
    id="probe",
    request="How do I do it?",
    begun="First you wait. But",
    trigger="but",
    frame="clause",
    seed=0,
)


class ModelCorrector:
    """Has a generator go on with each begun answer, and keeps the whole sentences.

    An answer that can't be gone on with, because the template's own markers stand in it or it is
    too long for the model, gets an empty correction, which no judge confirms: one bad row must not
    end a run. A template that never truly continues is refused when the corrector is made.
    """

    name: str

    def __init__(
        self,
        generator: Generator,
        chat: ChatSettings,
        *,
        rows: int | None = None,
        decided_by: Sequence[str] = (),
        notice: Callable[[str], None],
    ) -> None:
        """
        Args:
            generator: runs the model.
            chat: system prompt and arguments of the template.
            rows: tasks that are decoded together; None hands over all.
            decided_by: what else decides the texts, for the digest.
            notice: told which tasks cannot be gone on with.

        Raises:
            TemplateError: the template does not truly continue.
        """
        self.generator, self.chat, self.rows, self.notice = generator, chat, rows, notice
        self._job(_PROBE)
        self.digest = settings_hash(
            [
                self.name,
                generator.digest,
                generator.tokenizer.get_chat_template(),
                asdict(chat),
                SAMPLING.model_dump(),
                *decided_by,
            ]
        )

    def correct(self, tasks: Sequence[CorrectionTask]) -> list[str]:
        """One text a task; empty where the begun answer cannot be gone on with."""
        jobs = self._jobs(tasks)
        order = list(jobs)
        size = self.rows or max(1, len(order))
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        sampled = self.generator.sample([[jobs[i] for i in batch] for batch in batches], SAMPLING)
        texts = [""] * len(tasks)
        for batch, found in zip(batches, sampled, strict=True):
            for i, (path,) in zip(batch, found, strict=True):
                texts[i] = whole_sentences(self._text(path))
        return texts

    def _jobs(self, tasks: Sequence[CorrectionTask]) -> dict[int, Job]:
        """The jobs by the place of their task."""
        jobs, refused = {}, []
        for i, task in enumerate(tasks):
            try:
                jobs[i] = self._job(task)
            except (TemplateError, ModelError) as error:
                refused.append(f"{task.id}: {error}")
        if refused:
            self.notice(
                f"{len(refused)} of {len(tasks)} begun answers get no correction, such as that of "
                f"item {refused[0]}"
            )
        return jobs

    def _job(self, task: CorrectionTask) -> Job:
        tokenizer = self.generator.tokenizer
        turn = assistant_turn(tokenizer, self.chat, task.request, task.begun)
        whole = turn.head + task.begun
        ids, head = encode(tokenizer, whole)[0], encode(tokenizer, turn.head)[0]
        prove_continuation(tokenizer, turn, whole, [ids], len(whole), len(head))
        if len(ids) + SAMPLING.max_new_tokens > tokenizer.model_max_length:
            raise ModelError(
                f"{len(ids)} tokens and {SAMPLING.max_new_tokens} new ones are more than the "
                f"{tokenizer.model_max_length} that the model takes"
            )
        said = tuple((m["role"], m["content"]) for m in messages(task.request, self.chat.system))
        return Job(f"{task.id}|{task.seed}", tuple(ids), ((0, len(ids)),), said, len(head))

    def _text(self, path: Path) -> str:
        """The text of a path without special tokens: a correction is to be trained on."""
        if path.text is not None:
            return path.text
        return str(self.generator.tokenizer.decode(list(path.ids), skip_special_tokens=True))


def model_settings(model: str | ModelSettings | None, corrector: str) -> ModelSettings:
    """The model that was asked for, by its name or in full.

    Raises:
        UserError: none was.
    """
    if model is None:
        raise UserError(f"the {corrector} corrector needs a model: give --corrector-model")
    return model if isinstance(model, ModelSettings) else ModelSettings(model=model)
