"""C2-Syn: seeds → cuts → corrections → verified ranked groups → preference pairs."""

from coursecorrect.synth.settings import SynthSettings

__all__ = ["SynthSettings"]
