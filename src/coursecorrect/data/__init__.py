"""What goes in: built-in items, openers, and readers for preference data such as PKU-SafeRLHF."""

from coursecorrect.data.builtin import load_builtin
from coursecorrect.data.openers import opener_for
from coursecorrect.data.readers import read_items

__all__ = ["load_builtin", "opener_for", "read_items"]
