"""From a model's name to a loaded model: embedded, local folder, adapter folder or Hub id."""

from __future__ import annotations

import ctypes
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from coursecorrect import embedded
from coursecorrect.errors import ModelError
from coursecorrect.types import Record, content_id


class ModelSettings(Record):
    """Which model, in which precision, where."""

    model: str = embedded.NAME
    """smollm2 (embedded), a local folder, an adapter folder or a Hub id."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the weights; auto is float32 on CPU and the model's own on CUDA."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes CUDA when it is there."""
    trust_remote_code: bool = False
    """Run model code from the Hub; off unless you trust its author."""


@dataclass(frozen=True)
class LoadedModel:
    """A causal model ready to run, with what identifies it.

    ``model`` is None where the tokenizer alone was loaded.
    """

    model: Any
    tokenizer: Any
    name: str
    revision: str


def keep_freed_memory() -> None:
    """Ask glibc to reuse large blocks instead of returning them to the kernel at once.

    Training on CPU allocates the same large tensors at every step; without this a third of the
    time goes into page faults. Does nothing elsewhere.
    """
    trim_threshold, mmap_threshold = -1, -3
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
    except (OSError, AttributeError):
        return


def has_bfloat16() -> bool:
    """Does this hardware multiply bfloat16 natively? Elsewhere it is slower than float32."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def load(settings: ModelSettings) -> LoadedModel:
    """Load a model and its tokenizer; a PEFT adapter is merged into its base.

    Raises:
        ModelError: no such model, or it cannot be loaded (with the reason in one line).
    """
    return _or_model_error(_load, settings)


def load_tokenizer(settings: ModelSettings) -> LoadedModel:
    """The tokenizer alone, for a model that runs elsewhere; the revision is the tokenizer's.

    Raises:
        ModelError: no such model, or its tokenizer cannot be loaded.
    """
    return _or_model_error(_load_tokenizer, settings)


def _or_model_error(
    loader: Callable[[ModelSettings, str], LoadedModel], settings: ModelSettings
) -> LoadedModel:
    place = resolve(settings.model)
    try:
        return loader(settings, place)
    except ModelError:
        raise
    except Exception as error:  # transformers, the hub and safetensors raise many kinds
        line = next((part for part in str(error).splitlines() if part.strip()), repr(error))
        raise ModelError(
            f"cannot load the model {settings.model!r}: {line.strip()[:300]}; give "
            f"'{embedded.NAME}', a local folder, an adapter folder or a Hub id"
        ) from error


def resolve(name: str) -> str:
    """The folder or Hub id behind a model name; fetches the embedded model when it is asked for."""
    if name == embedded.NAME:
        return str(embedded.fetch())
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1
    folder = Path(name).expanduser()
    if looks_local and not folder.is_dir():
        raise ModelError(f"there is no model folder {name!r}; check the path")
    return str(folder) if folder.is_dir() else name


def revision(place: str) -> str:
    """A digest of a local folder's weights and settings, or the Hub's commit."""
    folder = Path(place)
    if not folder.is_dir():
        return ""
    if folder == embedded.default_folder():
        return embedded.REVISION
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in {".safetensors", ".bin"} or path.name.endswith("config.json"):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"


def _load(settings: ModelSettings, place: str) -> LoadedModel:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    keep_freed_memory()
    base, adapter = place, None
    if (Path(place) / "adapter_config.json").is_file():
        adapter = place
        base = resolve(adapter_base(Path(place)))
    cuda = torch.cuda.is_available()
    dtype: Any = settings.dtype
    if dtype == "auto" and not cuda:
        dtype = torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        base, dtype=dtype, trust_remote_code=settings.trust_remote_code, use_safetensors=True
    )
    if adapter is not None:
        if not (Path(adapter) / "adapter_model.safetensors").is_file():
            raise ModelError(f"{adapter} has no adapter_model.safetensors; save it as safetensors")
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    device = ("cuda" if cuda else "cpu") if settings.device == "auto" else settings.device
    tokenizer = AutoTokenizer.from_pretrained(
        _tokenizer_place(place), trust_remote_code=settings.trust_remote_code
    )
    commit = getattr(model.config, "_commit_hash", None)
    return LoadedModel(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        name=settings.model,
        revision=revision(place) or str(commit or ""),
    )


def _load_tokenizer(settings: ModelSettings, place: str) -> LoadedModel:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        _tokenizer_place(place), trust_remote_code=settings.trust_remote_code
    )
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = backend.to_str() if backend is not None else str(sorted(tokenizer.get_vocab().items()))
    return LoadedModel(None, tokenizer, settings.model, f"tokenizer:{content_id(rules)}")


def _tokenizer_place(place: str) -> str:
    """An adapter that was saved without a tokenizer has that of its base."""
    folder = Path(place)
    if not (folder / "adapter_config.json").is_file() or (folder / "tokenizer.json").exists():
        return place
    return resolve(adapter_base(folder))


def adapter_base(folder: Path) -> str:
    """The base model an adapter names; an adapter of the embedded model says ``smollm2``."""
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return str(config["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}/adapter_config.json names no base model") from error
