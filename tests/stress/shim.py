"""The shim between a program and its disk (`shim.c`): building it, and saying which calls are to fail."""

import ctypes
import errno
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "shim.c"

OPEN, CREATE, READ, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, MKDIR, CHMOD, STAT = (
    1 << place for place in range(11)
)
ALL = (1 << 11) - 1


@dataclass(frozen=True, slots=True)
class Fault:
    """A way in which a disk fails: which calls, with which error, and whether for good.

    A `write` that fails has half of its bytes written; one without an error says so.
    """

    calls: int
    error: int
    onwards: bool = False


FAULTS = {
    "no space": Fault(CREATE | WRITE | SYNC | RENAME | MKDIR, errno.ENOSPC, onwards=True),
    "no space for once": Fault(CREATE | WRITE | SYNC | RENAME | MKDIR, errno.ENOSPC),
    "disk error": Fault(ALL, errno.EIO),
    "disk gone": Fault(ALL, errno.EIO, onwards=True),
    "short write": Fault(WRITE, 0),
    "sync error": Fault(SYNC, errno.EIO),
    "turned read-only": Fault(ALL & ~(OPEN | READ | STAT), errno.EROFS, onwards=True),
}


def missing() -> str | None:
    """Why the shim cannot be built here, or `None`."""
    return None if shutil.which("cc") else "there is no C compiler: `cc` is not on the PATH"


def build(folder: Path) -> Path:
    """The shim, compiled into `folder`, for LD_PRELOAD."""
    library = folder / "shim.so"
    command = ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


def arm(folder: Path, fault: Fault, number: int) -> None:
    """From now on the `number`-th call of this process on a file in `folder` fails; with 0 none does."""
    library = _loaded()
    library.shim_arm(str(folder).encode(), fault.calls, fault.error, number, fault.onwards)


def failed() -> str:
    """The first call that failed, such as `write /registry.db`; empty when none did."""
    return str(_loaded().shim_failed().decode())


def _loaded() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.shim_arm.argtypes = (
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
        ctypes.c_int,
    )
    library.shim_failed.restype = ctypes.c_char_p
    return library
