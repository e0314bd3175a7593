"""From the registry into memory: the base model that experts stand on, and experts ready to run."""

from registry import ConflictError, Expert, Registry
from registry.blobs import Blobs
from registry.tensors import Tensors, unpack
from trainer import experts
from trainer.base_model import BaseModel
from trainer.progress import Progress, silent


def fetched(blobs: Blobs, expert: Expert) -> Tensors:
    """The tensors of an expert's file, after checking digest and format.

    Raises:
        DamagedError: it is missing, changed, or no tensors.
    """
    return unpack(blobs.get(expert.sha256))[0]


def thawed(registry: Registry, base: BaseModel, expert: Expert) -> experts.ExpertModule:
    """An expert of the registry, ready to run."""
    return experts.thaw(base, expert, fetched(registry.blobs, expert))


def fitting_base(
    registry: Registry, fingerprint: str, base: BaseModel | None, device: str, on_progress: Progress = silent
) -> BaseModel:
    """The base model with this fingerprint: the one given, or loaded by the spec on record.

    Raises:
        ConflictError: what was given, or what the spec leads to today, has another fingerprint.
    """
    record = registry.base_model(fingerprint)
    base = base or BaseModel.load(record.spec, device=device, on_progress=on_progress)
    if base.record.fingerprint != fingerprint:
        raise ConflictError(
            f"base model {base.record.name} ({base.record.fingerprint[:12]}) is not the one "
            f"these experts stand on, {record.name} ({fingerprint[:12]}): "
            "give that one, its weights, config and tokenizer unchanged"
        )
    return base
