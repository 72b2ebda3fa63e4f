"""The settings of a site, without a cluster."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def read(folder):
    return yaml.safe_load((ROOT / folder / "config.v9+.yaml").read_text(encoding="utf-8"))


def test_no_key_of_a_site_is_overruled():
    # Snakemake takes a key that stands in both from profiles/default, whole.
    assert read("slurm").keys() & read("profiles/default").keys() == set()
