"""Base models of the Hugging Face hub, pinned to a commit."""

import re
from pathlib import Path

from registry.errors import NotFoundError, RegistryError
from trainer.progress import Progress
from trainer.sources.folders import is_complete

_HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Never *.bin, *.pt (pickles) or *.py (code).
_WANTED = ["*.json", "*.safetensors", "tokenizer.model", "vocab.txt", "merges.txt", "*.jinja"]
_UNWANTED = ["*/*"]  # folders inside a repository hold other formats of the same weights


def parse_hub_id(spec: str) -> tuple[str, str] | None:
    """`(repository, revision)` of `org/name` or `org/name@revision`; None when `spec` is neither."""
    match = _HUB_ID.fullmatch(spec)
    return (match["repository"], match["revision"] or "main") if match else None


def hub_folder(repository: str, revision: str, on_progress: Progress) -> tuple[Path, str]:
    """The downloaded folder of a hub model, and the commit that `revision` stands for.

    A commit that is already here is used without the network. A branch or tag is looked up each time, and taken from
    what is here when the hub cannot be reached.

    Raises:
        NotFoundError: the hub has no such repository or revision.
        RegistryError: the hub cannot be reached, or refuses.
    """
    if _COMMIT.fullmatch(revision):
        here = _downloaded(repository, revision)
        if here is not None:
            return here, revision
    on_progress(f"download {repository}", 0, 1, "from the Hugging Face hub")
    folder = _download(repository, revision)
    on_progress(f"download {repository}", 1, 1, f"commit {folder.name[:12]}")
    return folder, folder.name


def _download(repository: str, revision: str) -> Path:
    """Fetch what is missing; the folder is named by the commit."""
    import httpx2
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    spec = f"{repository}@{revision}"
    try:
        commit = str(HfApi().model_info(repository, revision=revision).sha)
        return Path(
            snapshot_download(repository, revision=commit, allow_patterns=_WANTED, ignore_patterns=_UNWANTED)
        )
    except GatedRepoError as error:
        raise RegistryError(
            f"{repository} asks for its licence to be accepted: do so on its page of the hub, then `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise NotFoundError(
            f"there is no base model {repository!r}: not a built-in, not a folder or file here, not a model of the hub"
        ) from error
    except RevisionNotFoundError as error:
        raise NotFoundError(f"{repository} has no revision {revision!r} on the hub") from error
    except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        here = _downloaded(repository, revision)
        if here is not None:
            return here
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RegistryError(
            f"cannot fetch base model {spec} from the Hugging Face hub ({reason}); connect to it, "
            "or give --base-model a local Hugging Face folder, a .gguf file or a built-in name"
        ) from error


def _downloaded(repository: str, revision: str) -> Path | None:
    """The complete folder of a revision in the hub's own cache, without the network; None when it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if is_complete(folder) else None
