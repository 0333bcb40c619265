"""Generators: models that truly continue a prefill.

They are found by name (entry-point group ``coursecorrect.generators``).
"""

from __future__ import annotations

from typing import Any, Final

from coursecorrect.generate.base import Generator
from coursecorrect.registry import create

__all__ = ["BUILT_IN", "Generator", "get_generator"]

BUILT_IN: Final[dict[str, str]] = {
    "hf": "coursecorrect.generate.hf:HFGenerator",
    "openai": "coursecorrect.generate.openai:OpenAIGenerator",
    "vllm": "coursecorrect.generate.vllm:VLLMGenerator",
}


def get_generator(name: str, **options: Any) -> Generator:
    """The generator called ``name``, made with ``options``."""
    generator: Generator = create("generator", BUILT_IN, name, options)
    return generator
