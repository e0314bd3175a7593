"""Which file system a home is on, and whether SQLite can be trusted there."""

import os
import re
from pathlib import Path

from registry.errors import StorageError

MOUNTS = Path("/proc/self/mounts")
"""Where Linux tells what is mounted; elsewhere nothing is known of a file system, and nothing refused."""

UNKNOWN = "unknown"
"""The type of a file system where nothing tells."""

NETWORK = frozenset(
    [
        *("nfs", "nfs4", "cifs", "smbfs", "smb2", "smb3", "9p", "afs", "coda", "ncpfs", "davfs", "davfs2"),
        *("gpfs", "lustre", "ceph", "glusterfs", "beegfs", "fhgfs", "orangefs", "pvfs2", "panfs", "wekafs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.cephfs", "fuse.juicefs", "fuse.moosefs"),
        *("fuse.s3fs", "fuse.goofys", "fuse.mount-s3", "fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2"),
        *("fuse.rclone", "fuse.davfs", "fuse.smbnetfs", "fuse.curlftpfs", "fuse.nfs"),
    ]
)
"""File systems over a network, whose locks and caches SQLite cannot rely on."""

ALLOW = "REGISTRY_ALLOW_NETWORK"
"""Set to 1, this environment variable lets a person use such a file system all the same."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def type_of(folder: Path) -> str:
    """The type of the file system that holds `folder`, such as ext4; `UNKNOWN` where nothing tells.

    The folder need not be there yet.
    """
    try:
        mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return UNKNOWN
    place = folder.resolve()
    best, kind = "", UNKNOWN
    for line in mounts.splitlines():
        _, mounted, name, *_rest = line.split(" ")
        mounted = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), mounted)
        # The later of two mounts on one folder hides the earlier.
        if len(mounted) >= len(best) and place.is_relative_to(mounted):
            best, kind = mounted, name
    return kind


def allowed() -> bool:
    """Whether somebody has taken the risk of a network file system."""
    return os.environ.get(ALLOW) == "1"


def refuse_network(path: Path) -> None:
    """Refuses to keep a database at `path` when that is on a network file system.

    Raises:
        StorageError: It is, and nobody has taken the risk.
    """
    kind = type_of(path)
    if kind in NETWORK and not allowed():
        raise StorageError(
            f"{path} is on a network file system ({kind}), where SQLite's locks fail and versions get lost. "
            "Name a folder on a disk of this machine with --home or REGISTRY_HOME. For one registry on "
            "several machines the way is a PostgreSQL server, which this version cannot use yet."
        )
