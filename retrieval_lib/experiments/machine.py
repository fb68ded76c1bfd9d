"""What a run runs on: the device, and the versions that its numbers depend on."""

import platform

import faiss
import torch

from retrieval_lib import __version__


def device_name() -> str:
    """The GPU's name, or the processor's kind with the number of threads that torch uses."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU ({platform.machine()}), {threads} thread{'s' if threads > 1 else ''}"


def versions() -> dict[str, str]:
    """Versions of Python, torch, faiss and of this library."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "faiss": faiss.__version__,
        "retrieval_lib": __version__,
    }
