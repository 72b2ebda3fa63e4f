"""Every reader of ours: how a config finds it, and what it makes of a file of its format."""

from dataclasses import asdict, is_dataclass

import pytest

from mrilib.data.volumes.base import Reader, reader_from
from mrilib.data.volumes.fastmri import check_volume
from mrilib.data.volumes.foreign import VolumeError
from mrilib.store.classes import arguments_model, load_class
from tests.data.volumes.raw_files import cartesian_scan, noise_kspace, write_cfl
from workflow_scripts.config.entries import words

READERS = words("reader")


def write_ismrmrd(path):
    # (slice, partition, line, coil, sample)
    cartesian_scan(noise_kspace(2, 1, 10, 3, 12)).write(path)


def write_bart(path):
    # (row, column, slice, coil)
    write_cfl(path.with_suffix(""), noise_kspace(12, 10, 2, 3))


# Word of a reader to what writes a small file of its format: 2 slices, 3 coils, 12 rows, 10 columns.
WRITERS = {"ismrmrd": write_ismrmrd, "bart": write_bart}


def test_every_reader_is_tried_here():
    assert READERS.keys() == WRITERS.keys()


def test_no_two_readers_take_the_same_ending():
    taken = [suffix for path in READERS.values() for suffix in load_class(path, Reader).suffixes]
    assert len(taken) == len(set(taken)) > 0
    assert all(suffix.startswith(".") for suffix in taken)


@pytest.mark.parametrize("word", READERS)
def test_a_file_becomes_a_volume_that_is_described(word, tmp_path):
    reader = reader_from({"class": READERS[word], "arguments": {}})
    for suffix in reader.suffixes:
        source, volume = tmp_path / f"scan{suffix}", tmp_path / f"{word}{suffix}-volume.h5"
        WRITERS[word](source)
        about = reader.convert(source, volume)
        assert is_dataclass(about)
        assert asdict(about)["shape"] == check_volume(volume).shape == (2, 3, 12, 10)


@pytest.mark.parametrize("word", READERS)
def test_a_damaged_file_is_rejected_and_leaves_nothing(word, tmp_path):
    reader = reader_from({"class": READERS[word], "arguments": {}})
    source = tmp_path / f"scan{reader.suffixes[0]}"
    WRITERS[word](source)
    source.write_bytes(source.read_bytes()[:-40])
    with pytest.raises(VolumeError, match=source.name):
        reader.convert(source, tmp_path / "volume.h5")
    assert not (tmp_path / "volume.h5").exists()


def test_what_barts_header_does_not_say_is_an_argument(tmp_path):
    write_cfl(tmp_path / "a", noise_kspace(10, 12, 2, 3))
    reader = reader_from({"class": READERS["bart"], "arguments": {"rows": 1}})
    assert reader.convert(tmp_path / "a.cfl", tmp_path / "v.h5").shape == (2, 3, 12, 10)


@pytest.mark.parametrize(
    ("arguments", "where"), [({"rows": 3}, "rows"), ({"coils": 16}, "coils"), ({"coils": -1}, "coils")]
)
def test_arguments_out_of_range_are_refused_before_a_job_starts(arguments, where):
    model = arguments_model(load_class(READERS["bart"], Reader))
    model.model_validate({"rows": 2, "coils": 15, "transform": True})
    with pytest.raises(ValueError, match=where):
        model.model_validate(arguments)
