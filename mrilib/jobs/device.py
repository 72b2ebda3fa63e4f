"""Where a job computes."""

import torch


def device() -> torch.device:
    """The GPU if the job sees one; else the CPU. One thread: sums of several differ in the last bit."""
    torch.set_num_threads(1)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
