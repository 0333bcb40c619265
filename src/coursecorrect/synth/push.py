"""A finished data set to the Hugging Face Hub: the card, the pairs and the groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coursecorrect.errors import ServerError, UserError
from coursecorrect.synth.browse import open_data_set, refuse_audit

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

FILES: Final = ["README.md", "data/*.parquet", "groups/*.parquet"]
"""What is shared: neither seeds nor what a restart needs."""
_CREDENTIALS: Final = 401
_FORBIDDEN: Final = (402, 403)


def push_data_set(folder: Path, repo: str, *, private: bool) -> str:
    """Upload a data set; returns its address.

    Data and groups of an earlier push that this data set lacks are removed there, or
    ``load_dataset`` would read both.

    Args:
        folder: of the data set.
        repo: OWNER/NAME; made if there is none.
        private: who may see it. It must be so already where the repository exists.

    Raises:
        RunError: the data set is not finished, or an audit.
        UserError: no login, no permission, or a repository of the other visibility.
        ServerError: the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    data = open_data_set(folder)
    refuse_audit(data, "shared")
    api = HfApi(library_name="coursecorrect")
    with _in_our_words(api, repo):
        address = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        _check_visibility(api, repo, private)
        api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=FILES,
            delete_patterns=FILES[1:],
            commit_message=f"{data.counts['pairs']:,} pairs by c2 synth",
        )
    return str(address)


def _check_visibility(api: HfApi, repo: str, private: bool) -> None:
    """Asking for a private repository does not make one private that was public before."""
    if api.dataset_info(repo).private is not private:
        found, flag = ("public", "--public") if private else ("private", "--private")
        raise UserError(
            f"{repo} is {found}: give {flag}, change that in its settings, or choose another name"
        )


@contextmanager
def _in_our_words(api: HfApi, repo: str) -> Iterator[None]:
    """Faults of the login, the name, the network and the Hub in one line."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.errors import HTTPError as NetworkError  # type: ignore[attr-defined]

    try:
        yield
    except HFValidationError as error:
        raise UserError(f"--to: {str(error).splitlines()[0]}") from error
    except OfflineModeIsEnabled as error:
        raise ServerError("HF_HUB_OFFLINE is set; unset it to reach the Hub") from error
    except HfHubHTTPError as error:
        raise _refused(error, repo) from error
    except (NetworkError, ConnectionError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ServerError(
            f"cannot reach the Hub at {api.endpoint}: {why[:200]}; "
            "what is uploaded stays there, so the same command goes on"
        ) from error


def _refused(error: HfHubHTTPError, repo: str) -> UserError:
    status = error.response.status_code
    if status == _CREDENTIALS:
        return UserError("no valid login at the Hub: run 'hf auth login', or set HF_TOKEN")
    said = (error.server_message or str(error)).strip().splitlines()
    why = said[0][:200] if said else "without a reason"
    if status in _FORBIDDEN:
        return UserError(f"your login may not write to {repo}: {why}; needs a token that writes")
    return ServerError(f"the Hub refuses {repo} with status {status}: {why}")
