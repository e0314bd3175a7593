"""What every tab is given: the registry, loaded generations, and who is asking."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from registry import Registry
from registry.errors import RegistryError

if TYPE_CHECKING:
    import gradio as gr

    from trainer.base_model import BaseModel
    from trainer.moe import MoE

NAME = "Expert Registry"

KEPT = 3
"""Generations kept in memory, so that two can be compared while a third is shown."""


class NotLoggedInError(RegistryError):
    """A change that nobody who is logged in asked for."""


class Context:
    """One server's share of everything that tabs need; used from many threads.

    Attributes:
        home: folder of the registry; None for the platform's user data folder.
        device: where generations run: auto, cpu, cuda or mps.
    """

    def __init__(self, home: Path | None = None, *, device: str = "auto") -> None:
        self.home, self.device = home, device
        self._registry: Registry | None = None
        self._loaded: OrderedDict[str, MoE] = OrderedDict()
        self._opening, self._loading = Lock(), Lock()

    def registry(self) -> Registry:
        """The registry, one handle for all threads."""
        with self._opening:
            if self._registry is None:
                self._registry = Registry(self.home)
            return self._registry

    def close(self) -> None:
        """Lets go of the registry and of what is loaded."""
        with self._opening, self._loading:
            self._loaded.clear()
            if self._registry is not None:
                self._registry.close()
                self._registry = None

    def moe(self, ref: str | None = None, *, expert: str | None = None) -> "MoE":
        """A generation (by default production's, else the newest) or one expert alone, ready to answer.

        The latest few stay loaded, and share their base model. Callers may answer at the same time.

        Raises:
            RegistryError: it does not exist, or does not load.
        """
        from trainer.moe import MoE

        registry = self.registry()
        subject = registry.generation(ref) if expert is None else registry.expert(expert)
        with self._loading:
            if subject.name not in self._loaded:
                base = self._base(subject.base_model)
                self._loaded[subject.name] = (
                    MoE.load(registry, subject.name, base=base, device=self.device)
                    if expert is None
                    else MoE.load(registry, expert=subject.name, base=base, device=self.device)
                )
                while len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(subject.name)
            return self._loaded[subject.name]

    def _base(self, fingerprint: str) -> "BaseModel | None":
        loaded = (moe.base for moe in self._loaded.values())
        return next((base for base in loaded if base.record.fingerprint == fingerprint), None)

    def user(self, request: "gr.Request | None") -> str | None:
        """Who is logged in, or None; only a registry without users is used without log-in."""
        name = getattr(request, "username", None)
        return name if isinstance(name, str) and name else None

    def require(self, request: "gr.Request | None") -> str | None:
        """Who asks for a change, for its record; every handler that changes anything begins with this.

        Raises:
            NotLoggedInError: nobody is logged in, and there are users.
        """
        user = self.user(request)
        if user is None and self.registry().users.any():
            raise NotLoggedInError("this needs a log-in: open /login, or send a token (registry token add)")
        return user
