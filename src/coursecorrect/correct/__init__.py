"""Correctors, found by name (entry-point group ``coursecorrect.correctors``)."""

from __future__ import annotations

from typing import Any, Final

from coursecorrect.correct.base import CorrectionTask, Corrector
from coursecorrect.registry import create

__all__ = ["BUILT_IN", "CorrectionTask", "Corrector", "get_corrector"]

BUILT_IN: Final[dict[str, str]] = {
    "template": "coursecorrect.correct.template:TemplateCorrector",
    "hf": "coursecorrect.correct.hf:HFCorrector",
    "openai": "coursecorrect.correct.openai:OpenAICorrector",
    "vllm": "coursecorrect.correct.vllm:VLLMCorrector",
}


def get_corrector(name: str, **options: Any) -> Corrector:
    """The corrector called ``name``, made with ``options``."""
    corrector: Corrector = create("corrector", BUILT_IN, name, options)
    return corrector
