"""Real processes for the tests of crashes and of crowds, forked so that each needs no second to import."""

import ctypes
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence

from registry import faults

_LIBC = ctypes.CDLL(None)
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def killed_at(point: str, work: Callable[[], object]) -> bool:
    """Does `work` in another process that kills itself at `point`; whether it got there.

    Raises:
        ChildProcessError: The process ended in any other way than well or killed.
    """

    def armed() -> None:
        os.environ["REGISTRY_FAULT"] = point
        importlib.reload(faults)
        work()

    status = os.waitpid(start(armed), 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise ChildProcessError(f"at {point} the process ended with {status}")
    return False


def together(works: Sequence[Callable[[], object]]) -> int:
    """Does all `works` at one moment, each in a process of its own; how many failed."""
    at = time.monotonic() + 0.02 * len(works)

    def at_the_moment(work: Callable[[], object]) -> Callable[[], None]:
        def wait_and_work() -> None:
            time.sleep(max(0.0, at - time.monotonic()))
            work()

        return wait_and_work

    children = [start(at_the_moment(work)) for work in works]
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def start(work: Callable[[], object]) -> int:
    """Does `work` in another process, whose exit status is 0 when nothing was raised; its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        # Ends with its parent, however that ends: nothing goes on after an interrupted run.
        _LIBC.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
