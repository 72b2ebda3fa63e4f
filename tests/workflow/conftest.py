"""A finished run that the tests of several files look at."""

import pytest

from tests.workflow.runs import EVERY_RULE, copied, snakemake, tiny, written


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A copy of the checkout with a finished run, and its config; who changes a file restores it."""
    checkout = copied(tmp_path_factory.mktemp("finished"))
    values = tiny(attacks=["peak", "gaussian"], methods=["tv", "zero-filled", "tira"])
    arguments = [*EVERY_RULE, "--cores", "2", "--configfile", written(checkout, values)]
    done = snakemake(checkout, *arguments, checkout=checkout)
    assert done.returncode == 0, done.stdout
    return checkout, values
