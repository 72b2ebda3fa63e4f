"""What tests of data share."""

import pytest

from mrilib.data.volumes.isolated import Worker


@pytest.fixture(scope="module")
def worker():
    """The child process that reads files."""
    with Worker() as running:
        yield running
