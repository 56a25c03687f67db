"""Which of a process's threads compute with several processors.

OpenMP, with which PyTorch computes on a CPU, gives every thread that computes helpers of its own.
Once there are more of them than processors, libgomp lets all helpers sleep between operations, and
each of a step's hundreds of operations waits until the system has woken one
(https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html). So a model's thread has helpers,
and those that only prepare something have none.
"""

from __future__ import annotations

import torch

_ALL = torch.get_num_threads()
"""As the process was started: ``OMP_NUM_THREADS``, or the number of processors."""


def compute_with_helpers() -> None:
    """Let the calling thread compute with all threads that the process was started for."""
    _set(_ALL)


def compute_alone() -> None:
    """Let the calling thread compute without helpers."""
    _set(1)


def _set(number: int) -> None:
    # The first question lets the thread take over the number that was set last, by whichever.
    torch.get_num_threads()
    torch.set_num_threads(number)
