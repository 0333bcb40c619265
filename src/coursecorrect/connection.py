"""One request to an OpenAI-compatible server, with its faults told apart.

Faults that pass are tried again: 429, 408, 5xx, timeouts and answers that arrive torn. Anything
else stops the run at once, since the next try would end the same way.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from coursecorrect.errors import ServerError

T = TypeVar("T")

LONGEST_WAIT: Final = 600.0
"""Seconds between two tries at most, whatever the server asks for."""
_LONGEST_OWN_WAIT: Final = 30.0
_SHOWN: Final = 300
"""Characters of a server's message that are shown."""


class PassingError(Exception):
    """A failure that may pass; ``retry_after`` is the wait in seconds that the server asks for."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Connection:
    """A client of one endpoint, which several threads may use at once."""

    def __init__(
        self,
        url: str,
        *,
        flag: str,
        api_key: str | None,
        connections: int,
        timeout: float,
        tries: int,
        first_wait: float,
        hint: str = "",
    ) -> None:
        """``timeout`` is for a whole request, in seconds; ``first_wait`` doubles at every try.

        ``flag`` is how the user gave the address, for the message when nobody is there; ``hint``
        follows the server's message where it refuses a request.
        """
        self._url, self._flag, self._hint = url, flag, hint
        self._key, self._timeout, self._tries = api_key, timeout, tries
        self._client = httpx.Client(
            timeout=timeout,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            limits=httpx.Limits(max_connections=connections),
        )
        self._halt = threading.Event()
        self._cause: ServerError | None = None
        self._own_wait = wait_exponential(multiplier=first_wait, max=_LONGEST_OWN_WAIT)
        self._retry = Retrying(
            retry=retry_if_exception_type(PassingError),
            stop=stop_after_attempt(tries) | stop_when_event_set(self._halt),
            wait=self._wait,
            sleep=sleep_using_event(self._halt),
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def halt(self) -> None:
        """No further tries; requests on their way come to their end."""
        self._halt.set()

    def ask(self, body: Mapping[str, Any], read: Callable[[bytes], T]) -> T:
        """What ``read`` makes of the answer to one request.

        ``read`` raises PassingError for an answer that is worth another try.

        Raises:
            ServerError: the server refuses, or failed at every try. From then on every call
                raises the same.
        """
        try:
            if self._halt.is_set():
                raise self._cause or ServerError("interrupted")
            answer: T = self._retry(self._try, body, read)
            return answer
        except PassingError as fault:
            self._stop_for(
                ServerError(
                    f"{self._url} failed {self._tries} times, at last with: {fault}; what "
                    "is finished is kept: the same command goes on"
                )
            )
        except ServerError as error:
            self._stop_for(error)
        raise self._cause or ServerError("interrupted")

    def _stop_for(self, error: ServerError) -> None:
        """The first error is what the user is told; those that follow from the halt are not."""
        if not self._halt.is_set():
            self._cause = error
        self._halt.set()

    def _wait(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, PassingError) and fault.retry_after is not None:
            return min(fault.retry_after, LONGEST_WAIT)
        return self._own_wait(state)

    def _try(self, body: Mapping[str, Any], read: Callable[[bytes], T]) -> T:
        try:
            status, headers, content = self._post(body)
        except httpx.TimeoutException as error:
            raise PassingError(f"no whole answer within {self._timeout:g} s") from error
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            raise PassingError(f"the connection broke ({error or type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerError(
                f"cannot reach {self._url} ({error}); is the server running, is {self._flag} right?"
            ) from error
        if status != 200:
            raise self._failure(status, headers, content)
        kind = headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise PassingError(f"the answer is {kind or 'of no type'}, not JSON")
        return read(content)

    def _post(self, body: Mapping[str, Any]) -> tuple[int, httpx.Headers, bytes]:
        """The client's own timeout is for one read; a server that drips would never meet it."""
        deadline = time.monotonic() + self._timeout
        parts = []
        with self._client.stream("POST", self._url, json=body) as response:
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer drips")
        return response.status_code, response.headers, b"".join(parts)

    def _failure(self, status: int, headers: httpx.Headers, content: bytes) -> Exception:
        if status in {401, 403}:
            return ServerError(
                f"{self._url} refuses the key ({status}); set the environment variable "
                "OPENAI_API_KEY to a key that it takes"
            )
        said = self._message(content)
        if status in {408, 429} or status >= 500:
            return PassingError(f"status {status} {said}".strip(), retry_after(headers))
        said = f"{said or 'no message'}{self._hint}"
        return ServerError(f"{self._url} answers with status {status}: {said}")

    def _message(self, content: bytes) -> str:
        """What the server says, in one line, and never the key."""
        text = content.decode("utf-8", "replace")
        try:
            error = json.loads(text)
            error = error.get("error", error)
            text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
        except (ValueError, AttributeError):
            pass  # not JSON, or not an object: shown as it stands
        if self._key:
            text = text.replace(self._key, "[key]")
        return " ".join(text.split())[:_SHOWN]


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, from a number or a date; None where there is neither."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        # A date without a zone means UTC.
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
