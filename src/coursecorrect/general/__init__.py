"""General ability before and after: the harness's tasks, and open questions of two turns."""

from coursecorrect.general.settings import GeneralSettings

__all__ = ["GeneralSettings"]
