"""What a server is told when it starts."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that shapes a server.

    Attributes:
        home: folder of the registry; None for the platform's user data folder.
        host, port: where it listens.
        allowed_hosts: further names by which it may be asked for, with a port where it is not this one.
        proxies: addresses of proxies whose word on who asks, and how, is taken.
        device: where generations run: auto, cpu, cuda or mps.
        worker: whether it runs a worker of its own, which works on the jobs in the queue.
        max_upload: bytes of an uploaded file; max_body: bytes of any other request.
        patience: seconds without a byte after which a request that is still coming in is given up.
    """

    home: Path | None = None
    host: str = "127.0.0.1"
    port: int = 7860
    allowed_hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    device: str = "auto"
    worker: bool = True
    max_upload: int = 50_000_000  # what the reader of data files takes
    max_body: int = 2_000_000
    patience: float = 30.0

    @property
    def url(self) -> str:
        """Where people on this machine find it."""
        return f"http://{bracketed(self.host)}:{self.port}/"

    @property
    def public(self) -> bool:
        """Whether others than people on this machine may reach it, so that it must ask who they are."""
        return bracketed(self.host) not in LOOPBACK or bool(self.allowed_hosts or self.proxies)

    def hosts(self) -> frozenset[str]:
        """What a request may say in its Host header."""
        names = {bracketed(self.host), *LOOPBACK, *self.allowed_hosts}
        return frozenset(name.lower() for name in names | {f"{name}:{self.port}" for name in names})


def bracketed(host: str) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
