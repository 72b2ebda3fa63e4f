"""What stands at a path instead of a file, told without reading or waiting."""

import errno
import os
import socket

import pytest

from mrilib.data.file_presence import found_instead


@pytest.fixture
def closed(monkeypatch):
    """`closed(path)`: from now on this user, who may be root, has no right to read a file."""

    def close(path):
        opening = open

        def refusing(name, *arguments, **options):
            if os.fspath(name) == os.fspath(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(name))
            return opening(name, *arguments, **options)

        monkeypatch.setattr("builtins.open", refusing)

    return close


def test_a_file_and_a_link_to_it_are_files(tmp_path):
    (tmp_path / "it's a file, ünïcode.h5").write_bytes(b"1")
    (tmp_path / "link").symlink_to("it's a file, ünïcode.h5")
    (tmp_path / "link of a link").symlink_to(tmp_path / "link")
    assert [found_instead(path) for path in tmp_path.iterdir()] == [None] * 3
    assert found_instead(str(tmp_path / "link")) is None


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "long").symlink_to("x" * 300)
    (tmp_path / "beyond").symlink_to(tmp_path / "empty" / "file")
    (tmp_path / "to-folder").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(tmp_path)  # the name of a socket must be short
        listening.bind("socket")
        os.chdir(here)
    found = {path.name: found_instead(path) for path in tmp_path.iterdir()}
    special = "a pipe, a socket or a device"
    assert found == {
        "folder": "a folder",
        "empty": "an empty file (0 bytes)",
        "dangling": "a link to nowhere, where nothing is",
        "circle": "a link that leads nowhere",
        "long": "a link that leads nowhere",
        "beyond": f"a link to {tmp_path / 'empty' / 'file'}, where nothing is",
        "to-folder": "a folder",
        "pipe": special,
        "socket": special,
    }
    assert found_instead(tmp_path / "absent") == "nothing"
    assert found_instead(os.devnull) == special


def test_a_file_without_the_right_to_read_it_is_named(tmp_path, closed):
    path = tmp_path / "private"
    path.write_text("1")
    closed(path)
    assert found_instead(path) == "no right to read it"


def test_a_fault_of_the_machine_is_no_fault_of_the_file(tmp_path, monkeypatch):
    def stat(path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr("mrilib.data.file_presence.os.stat", stat)
    with pytest.raises(OSError, match="Stale"):
        found_instead(tmp_path / "file")
