"""An instrument for tests: die, as if by `kill -9`, at a named step of publishing or migrating.

Set `REGISTRY_FAULT=blob.renamed` and the process kills itself when it gets there, so that the tests of
crashes run the code that people run. Unset, as it is outside tests, a step costs one comparison.
"""

import os
import signal

_POINT = os.environ.get("REGISTRY_FAULT")


def fault(point: str) -> None:
    """Kills this process at once when `REGISTRY_FAULT` names `point`."""
    if point == _POINT:
        os.kill(os.getpid(), signal.SIGKILL)
