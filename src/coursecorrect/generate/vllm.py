"""The ``vllm`` generator: vLLM's offline engine, for models that need its speed.

All lengths of a batch go to the engine at once; its prefix cache keeps what they share. The draws
are vLLM's own, from a seed for each item and k: paths differ from those of ``hf``, their
distribution does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as FilePath
from typing import Any

from coursecorrect.errors import ModelError, UserError
from coursecorrect.generate.base import Job, Path, Role, Sampling, seed_of
from coursecorrect.models import LoadedModel, ModelSettings, resolve
from coursecorrect.types import content_id

_NEVER = -100.0
"""vLLM's lowest logit bias."""


class VLLMGenerator:
    """Samples token ids by ``vllm.LLM``, n paths in one request."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        settings: ModelSettings,
        role: Role = "generator",
        banned: frozenset[int] = frozenset(),
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Only the tokenizer of ``loaded`` is used; the engine loads the weights.

        Raises:
            UserError: vLLM is not installed.
            ModelError: the model is an adapter, or the engine cannot load it.
        """
        self.name, self.tokenizer = loaded.name, loaded.tokenizer
        self.digest = content_id("vllm", loaded.revision, settings.dtype, str(sorted(banned)))
        self._banned = dict.fromkeys(sorted(banned), _NEVER)
        place = resolve(settings.model)
        if (FilePath(place) / "adapter_config.json").is_file():
            raise ModelError(
                f"{settings.model} is an adapter: the vllm {role} runs whole models; "
                "merge it first ('c2 train' saves the merged model beside it)"
            )
        self._vllm = _vllm(role)
        self._engine = self._start(place, settings, notice)
        self._ends = _end_ids(place, loaded.tokenizer)

    def _start(self, place: str, settings: ModelSettings, notice: Callable[[str], None]) -> Any:
        notice(f"{self.name}: starting vLLM {self._vllm.__version__}")
        try:
            return self._vllm.LLM(
                model=place,
                dtype=_dtype(settings.dtype),
                trust_remote_code=settings.trust_remote_code,
                enable_prefix_caching=True,
                generation_config="vllm",  # the model's own penalties would change the draws
                disable_log_stats=True,
                **_of_the_device(),
            )
        except Exception as error:  # the engine raises many kinds, some from another process
            raise _model_error(f"vLLM cannot load {settings.model!r}", error) from error

    def sample(
        self, batches: Sequence[Sequence[Job]], sampling: Sampling
    ) -> Iterator[list[list[Path]]]:
        for batch in batches:
            points = [(job, k, length) for job in batch for k, length in job.lengths]
            rows = iter(self._generate(points, sampling))
            yield [
                [
                    self._path(k, index, output)
                    for k, _ in job.lengths
                    for index, output in _outputs(next(rows), sampling.paths)
                ]
                for job in batch
            ]

    def _generate(self, points: Sequence[tuple[Job, int, int]], sampling: Sampling) -> Any:
        """One answer of the engine for each job, k and length."""
        try:
            return self._engine.generate(
                [{"prompt_token_ids": list(job.ids[:length])} for job, _, length in points],
                [self._parameters(job, k, sampling) for job, k, _ in points],
                use_tqdm=False,
            )
        except Exception as error:
            raise _model_error("vLLM stopped (what is finished is kept)", error) from error

    def _parameters(self, job: Job, k: int, sampling: Sampling) -> Any:
        return self._vllm.SamplingParams(
            # Greedy paths are all the same, and vLLM refuses to make several.
            n=sampling.paths if sampling.temperature else 1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=seed_of(sampling.seed, job.key, k),
            stop_token_ids=sorted(self._ends),
            logit_bias=self._banned or None,
            detokenize=False,
        )

    def _path(self, k: int, index: int, output: Any) -> Path:
        ids = list(output.token_ids)
        end = next((i for i, token in enumerate(ids) if token in self._ends), None)
        return Path(k, index, tuple(ids[:end]), end is not None)


def _outputs(request: Any, paths: int) -> list[tuple[int, Any]]:
    """The paths of one prefill by index; a greedy one stands for all."""
    found = sorted(request.outputs, key=lambda output: output.index)
    return [(i, found[i % len(found)]) for i in range(paths)]


def _vllm(role: Role) -> Any:
    try:
        import vllm
    except ModuleNotFoundError as error:
        raise UserError(
            f"the vllm {role} needs vLLM in this environment: pip install 'coursecorrect[vllm]', "
            f"or serve the model elsewhere and use --{role} openai"
        ) from error
    return vllm


def _model_error(what: str, error: Exception) -> ModelError:
    line = next((part for part in str(error).splitlines() if part.strip()), repr(error))
    return ModelError(f"{what}: {line[:300]}")


def _of_the_device() -> dict[str, Any]:
    """On a CPU a prompt is read in one piece.

    Between two pieces vLLM winds the generator of a seeded request back, which PyTorch's generator
    for CPUs cannot do (vLLM 0.32: "CPU Generator does not use offset").
    """
    import torch

    return {} if torch.cuda.is_available() else {"enable_chunked_prefill": False}


def _dtype(asked: str) -> str:
    """As the ``hf`` generator takes it: float32 on a CPU, the model's own on CUDA."""
    import torch

    return "float32" if asked == "auto" and not torch.cuda.is_available() else asked


def _end_ids(place: str, tokenizer: Any) -> frozenset[int]:
    """Every token that ends the assistant's turn."""
    from transformers import GenerationConfig

    try:
        listed = GenerationConfig.from_pretrained(place).eos_token_id
    except OSError:
        listed = None
    found = {tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])}
    return frozenset(int(i) for i in found if i is not None)
