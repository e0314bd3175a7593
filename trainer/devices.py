"""The devices of this machine."""

import os

import torch


def every() -> dict[str, str]:
    """What each device that `--device` takes is, by name; the CPU last."""
    found = {
        f"cuda:{index}": f"{about.name}, {about.total_memory / 1e9:.0f} GB"
        for index in range(torch.cuda.device_count())
        for about in [torch.cuda.get_device_properties(index)]
    }
    if torch.backends.mps.is_available():
        found["mps"] = "the GPU of this Mac"
    return {**found, "cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"}
