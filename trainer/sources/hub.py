"""Base models of the Hugging Face hub, pinned to a commit."""

import io
import re
from pathlib import Path
from typing import Any

from registry.errors import NotFoundError, RegistryError, StorageError
from trainer.progress import Progress

_HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
# Never *.bin or *.pt (pickles), never *.py (code).
_WANTED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "vocab.txt", "merges.txt"]
# Folders inside a repository, and "consolidated" files, hold the same weights in other forms.
_UNWANTED = ["*/*", "consolidated*"]


def parse_hub_id(spec: str) -> tuple[str, str] | None:
    """`(repository, revision)` of `org/name` or `org/name@revision`; None when `spec` is neither."""
    match = _HUB_ID.fullmatch(spec)
    return (match["repository"], match["revision"] or "main") if match else None


def hub_folder(repository: str, revision: str, on_progress: Progress) -> Path:
    """The downloaded folder of a hub model; its name is the commit that `revision` stands for.

    A commit that is already here needs no network. A branch or tag is looked up each time, and taken from
    what is here when the hub cannot be reached.

    Raises:
        NotFoundError: the hub has no such repository or revision.
        RegistryError: the hub cannot be reached, or refuses.
        StorageError: the hub's cache cannot be written.
    """
    import httpx2
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=_WANTED,
                ignore_patterns=_UNWANTED,
                tqdm_class=_reporting(f"download {repository}", on_progress),
            )
        )
    except hub.GatedRepoError as error:
        raise RegistryError(
            f"{repository} wants its licence accepted: do so on its page of the hub, then run `hf auth login`"
        ) from error
    except (hub.RepositoryNotFoundError, hub.HFValidationError) as error:
        raise NotFoundError(
            f"there is no base model {repository!r}: not a built-in, not a path here, not a model of the hub "
            "that this user may see"
        ) from error
    except hub.RevisionNotFoundError as error:
        raise NotFoundError(f"{repository} has no revision {revision!r} on the hub") from error
    except (httpx2.HTTPError, hub.LocalEntryNotFoundError, ConnectionError) as error:
        raise RegistryError(
            f"cannot fetch base model {repository}@{revision} from the Hugging Face hub ({_reason(error)}); "
            "connect to it, or give --base-model a local Hugging Face folder, a .gguf file or a built-in name"
        ) from error
    except OSError as error:
        raise StorageError(f"cannot keep {repository} in the hub's cache: {error}; see HF_HOME") from error


def _reason(error: BaseException) -> str:
    """The first line of the error that began it all."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _reporting(stage: str, on_progress: Progress) -> type[Any]:
    """A progress-bar class for the hub's client that draws nothing and reports megabytes to `on_progress`."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporting(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.whole = kwargs.get("name") == "huggingface_hub.snapshot_download"
            super().__init__(*args, **{**kwargs, "disable": False, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            drawn: bool | None = super().update(n)
            if self.whole:
                on_progress(stage, int(self.n / 1e6), int((self.total or 0) / 1e6), "MB")
            return drawn

    return Reporting
