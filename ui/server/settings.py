"""What a server is told when it starts."""

from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that shapes a server.

    Attributes:
        home: folder of the registry; None for the platform's user data folder.
        host, port: where it listens.
        allowed_hosts: further names by which it may be asked for, with or without a port.
        device: where generations run: auto, cpu, cuda or mps.
        max_upload: bytes of an uploaded file; max_body: bytes of any other request.
    """

    home: Path | None = None
    host: str = "127.0.0.1"
    port: int = 7860
    allowed_hosts: tuple[str, ...] = ()
    device: str = "auto"
    max_upload: int = 200 * MEBIBYTE
    max_body: int = 1 * MEBIBYTE
