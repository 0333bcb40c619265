"""The exceptions a user can meet.

::

    Exception
    └── UserError            the user's input or machine; one line, exit status 2
        ├── DataError        a row or file that cannot be read (names file:line and field)
        ├── ModelError       a model that cannot be found or loaded
        ├── TemplateError    a chat template that fails the proof of true continuation
        ├── RunError         a run folder that does not fit the settings, a full disk
        └── ServerError      a model server that cannot be reached, refuses or keeps failing

Each message is one line: what is wrong, where, and what to do.
"""

from __future__ import annotations


class UserError(Exception):
    """A fault that the user can mend; shown as one line without a traceback."""


class DataError(UserError):
    """A file or row that cannot be used."""


class ModelError(UserError):
    """A model that cannot be found, downloaded or loaded."""


class TemplateError(UserError):
    """A chat template that would not truly continue the prefill."""


class ServerError(UserError):
    """A model server that cannot be reached, refuses a request or keeps failing."""


class RunError(UserError):
    """A run folder that cannot be written or belongs to other settings."""
