"""Archives are unpacked as asked, and nothing of a hostile or broken one gets out of its folder."""

import gzip
import io
import json
import lzma
import os
import resource
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrilib.data.downloads import archives, progress
from mrilib.data.downloads.archives import ArchiveError, link_volumes, unpack

PACKERS = {"xz": lzma.compress, "gz": gzip.compress, "tar": bytes}
NOISE = np.random.default_rng(0)
VOLUMES = {f"multicoil_val/file100000{k}.h5": NOISE.bytes(3000 + k) for k in range(4)}


def tar(files=VOLUMES, *, more=(), form=tarfile.PAX_FORMAT) -> bytes:
    """A tar of files, and of members that are headers with some content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("multicoil_val")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
        for header, content in more:
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, **changes) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(header, key, value)
    return header


@pytest.fixture
def pack(tmp_path):
    """`pack(content, kind)`: path of an archive of that kind."""

    def write(content, kind="xz"):
        path = tmp_path / f"archive.tar.{kind}"
        path.write_bytes(PACKERS[kind](content))
        return path

    return write


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def files_in(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if not path.is_dir()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def files_of(*names: str) -> dict[str, bytes]:
    return {f"multicoil_val/{name}": VOLUMES[f"multicoil_val/{name}"] for name in names}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_all_files_come_as_tarfile_itself_unpacks_them(pack, out, tmp_path, kind, form):
    path = pack(tar(form=form), kind)
    assert unpack(path, out) == [out / name for name in VOLUMES]
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "reference", filter="data")
    assert files_in(out) == files_in(tmp_path / "reference") == VOLUMES


@pytest.mark.parametrize(
    "wanted",
    [
        lambda name: name[10] in "13",
        ["file1000001.h5", "file1000003.h5"],
        {"file1000003.h5", "file1000001.h5"},
    ],
    ids=["test", "list", "set"],
)
def test_only_wanted_files_are_written(pack, out, wanted):
    expected = files_of("file1000001.h5", "file1000003.h5")
    assert unpack(pack(tar()), out, wanted=wanted) == [out / name for name in expected]
    assert files_in(out) == expected


def test_nothing_wanted_makes_no_folder(pack, out):
    assert unpack(pack(tar()), out, wanted=lambda _: False) == []
    assert unpack(pack(tar()), out, wanted=[]) == []
    assert not out.exists()


def test_a_text_is_no_collection_of_names(pack, out):
    with pytest.raises(ValueError, match=r"got the text 'file1000001\.h5'"):
        unpack(pack(tar()), out, wanted="file1000001.h5")


def test_reading_ends_with_the_last_name(pack, out):
    content = tar(more=[(member("../evil"), b"")])
    assert unpack(pack(content), out, wanted=["file1000000.h5"]) == [out / "multicoil_val/file1000000.h5"]
    with pytest.raises(ArchiveError, match="a path with"):
        unpack(pack(content), out, wanted=["file1000000.h5", "not there"])


def test_the_last_folder_keeps_equal_names_apart(pack, out):
    files = {
        "./a/singlecoil_val/f.h5": b"one",
        "b/multicoil_val/f.h5": b"two",
        "f.h5": b"three",
        "./g.h5": b"4",
    }
    unpack(pack(tar(files)), out)
    expected = {"singlecoil_val/f.h5": b"one", "multicoil_val/f.h5": b"two", "f.h5": b"three", "g.h5": b"4"}
    assert files_in(out) == expected


def test_hidden_files_and_folders_are_skipped(pack, out):
    files = {"multicoil_val/._file1.h5": b"resource fork", "multicoil_val/file1.h5": b"volume"}
    assert unpack(pack(tar(files)), out) == [out / "multicoil_val/file1.h5"]


def test_unpacking_goes_on_where_it_ended(pack, out):
    unpack(pack(tar()), out, wanted=["file1000000.h5"])
    first = out / "multicoil_val/file1000000.h5"
    before = first.stat()
    assert len(unpack(pack(tar()), out)) == 4
    assert first.stat() == before
    assert files_in(out) == VOLUMES


def test_a_file_of_another_size_is_never_overwritten(pack, out):
    file = out / "multicoil_val/file1000001.h5"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"mine")
    with pytest.raises(
        ArchiveError, match=f"expected {file} to have 3001 bytes or not to be there, got 4 bytes"
    ):
        unpack(pack(tar()), out)
    assert files_in(out) == {**files_of("file1000000.h5"), "multicoil_val/file1000001.h5": b"mine"}


def test_two_files_of_one_place_are_refused(pack, out):
    files = {"a/val/f.h5": b"one", "b/val/f.h5": b"three"}
    with pytest.raises(ArchiveError, match=r"expected .*to have 5 bytes"):
        unpack(pack(tar(files)), out)
    assert files_in(out) == {"val/f.h5": b"one"}


HOSTILE = {
    "absolute": (member("/etc/evil.h5"), "an absolute path"),
    "up": (member("multicoil_val/../../evil.h5"), r"a path with `\.\.`"),
    "up only": (member(".."), r"a path with `\.\.`"),
    "up folder": (member("../evil", type=tarfile.DIRTYPE), r"a path with `\.\.`"),
    "symbolic link": (member("evil.h5", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link"),
    "hard link": (member("evil.h5", type=tarfile.LNKTYPE, linkname="multicoil_val/file1000000.h5"), "a link"),
    "pipe": (member("evil.h5", type=tarfile.FIFOTYPE), "a device"),
    "character device": (member("evil.h5", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "a device"),
    "block device": (member("evil.h5", type=tarfile.BLKTYPE), "a device"),
    "unknown kind": (member("evil.h5", type=b"Z"), "a device or a member of unknown kind"),
    "sparse": (member("evil.h5", pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": "9"}), "a sparse"),
    "no name": (member("."), "a name that no volume can have"),
    "two lines": (member("multicoil_val/a\nb.h5"), "a name that no volume can have"),
    "zero in the name": (member("a\0b.h5", pax_headers={"path": "a\0b.h5"}), "a name that no volume can"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("wanted", [None, lambda name: name == "file1000001.h5"], ids=["wanted", "unwanted"])
def test_a_dangerous_member_stops_the_archive(pack, out, tmp_path, kind, wanted):
    header, fault = HOSTILE[kind]
    with pytest.raises(ArchiveError, match=rf"{fault}.*: .*; do not use this archive") as caught:
        unpack(pack(tar(more=[(header, b""), (member("after.h5"), b"")])), out, wanted=wanted)
    assert repr(header.name) in str(caught.value)
    assert files_in(out) == (VOLUMES if wanted is None else files_of("file1000001.h5"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive.tar.xz", "out"]


part = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=12)
paths = st.lists(st.sampled_from(["..", ".", "", "a", "b.h5"]) | part, min_size=1, max_size=4).map("/".join)


@settings(deadline=None)
@given(
    st.lists(st.tuples(paths, st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE])), min_size=1, max_size=3)
)
def test_no_name_leaves_the_folder(tmp_path_factory, members):
    top = tmp_path_factory.mktemp("names", numbered=True)
    archive, out = top / "a.tar", top / "in" / "side"
    archive.write_bytes(
        tar({}, more=[(member(name, type=kind, linkname="x"), b"") for name, kind in members])
    )
    names = [name for name, _ in members]
    hostile = any(kind != tarfile.REGTYPE for _, kind in members) or any(
        name.startswith("/") or ".." in name.split("/") for name in names
    )
    try:
        found = unpack(archive, out)
    except (ArchiveError, OSError):
        found = []
    else:
        assert not hostile
    assert all(file.is_file() and not file.is_symlink() and out in file.parents for file in found)
    assert all(".." not in file.relative_to(out).parts for file in found)
    outside = [file for file in top.rglob("*") if not file.is_dir() and out not in file.parents]
    assert outside == [archive]
    assert not [file for file in top.rglob("*") if file.is_symlink()]
    shutil.rmtree(top)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_truncated_archive_keeps_what_was_whole(pack, out, kind):
    path = pack(tar(), kind)
    whole = path.read_bytes()
    # three of four files stand before this
    path.write_bytes(whole[: int(len(whole) * 0.55)] if kind == "tar" else whole[:-1200])
    with pytest.raises(
        ArchiveError, match=r"archive\.tar.*got a truncated one.*remove it and download it again"
    ):
        unpack(path, out)
    found = files_in(out)
    assert 1 <= len(found) < 4
    assert found.items() <= VOLUMES.items()


@pytest.mark.parametrize("kind", PACKERS)
def test_no_cut_passes_for_a_whole_archive(pack, out, kind):
    path = pack(tar(), kind)
    whole = path.read_bytes()
    # the end of a tar is marked by one block of zeros; more of them are padding
    end = len(whole) if kind != "tar" else len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for length in [*range(0, end, 512), end - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ArchiveError, match="remove it and download it again"):
            unpack(path, out, wanted=lambda _: False)
    assert not out.exists()


@pytest.mark.parametrize("kind", PACKERS)
def test_no_damage_leaves_a_wrong_file(pack, out, kind):
    path = pack(tar(), kind)
    whole = path.read_bytes()
    damaged = 0
    for at in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        shutil.rmtree(out, ignore_errors=True)
        try:
            unpack(path, out)
        except ArchiveError as error:
            damaged += "damaged" in str(error)
            found = {} if not out.exists() else files_in(out)
            assert found == {} or "damaged" not in str(error)  # noqa: PT017
        else:
            # a tar has no checksum of contents, and a gzip header has none of itself
            assert kind == "tar" or files_in(out) == VOLUMES
    assert kind == "tar" or damaged > 30


@pytest.mark.parametrize(
    ("content", "got"),
    [(b"", "an empty file"), (b"<html>", "a file that begins with b'<html>'"), (b"\x89HDF", "begins with")],
)
def test_what_is_no_archive_is_refused(tmp_path, out, content, got):
    path = tmp_path / "a.tar.xz"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"expected an archive \(xz, gzip or tar\), got .*{got}"):
        unpack(path, out)


def test_what_is_compressed_but_no_tar_is_refused(pack, out):
    with pytest.raises(ArchiveError, match="expected a whole archive, got a damaged one"):
        unpack(pack(b"text " * 1000), out)


def test_an_archive_that_is_not_there(tmp_path, out):
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "a.tar.xz", out)


def header_bytes(name: str, **changes) -> bytes:
    return member(name, **changes).tobuf(tarfile.GNU_FORMAT)


HUGE = {
    "a file": (header_bytes("evil.h5", size=1 << 62), "evil.h5.*got a claim of"),
    "a file as tar allows": (header_bytes("evil.h5", size=10_000_000), "a truncated one"),
    "a negative file": (header_bytes("evil.h5", size=-1), "claims -1 bytes"),
    "a long name": (header_bytes("@LongLink", type=tarfile.GNUTYPE_LONGNAME, size=1 << 40), "claims 1099"),
    "attributes": (header_bytes("x", type=tarfile.XHDTYPE, size=1 << 40), "claims 109951"),
    "attributes of all": (header_bytes("x", type=tarfile.XGLTYPE, size=1 << 40), "claims 109951"),
    "a sparse map": (
        header_bytes("x", type=tarfile.GNUTYPE_SPARSE, size=512)[:482] + b"\1" + bytes(29),
        "a damaged one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", HUGE)
def test_a_claimed_size_is_not_believed(pack, out, kind):
    header, fault = HUGE[kind]
    content = tar()
    end = len(content.rstrip(b"\0")) // 512 * 512 + 512
    with pytest.raises(ArchiveError, match=fault) as caught:
        unpack(pack(content[:end] + header + bytes(2048)), out)
    assert files_in(out) == ({} if "damaged" in str(caught.value) else VOLUMES)


def test_damage_costs_no_file_of_an_earlier_call(pack, out):
    unpack(pack(tar()), out, wanted=["file1000000.h5"])
    path = pack(tar())
    content = bytearray(path.read_bytes())
    content[-60] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="remove it, and what earlier calls unpacked from it"):
        unpack(path, out)
    assert files_in(out) == files_of("file1000000.h5")


def test_a_sparse_map_without_end_is_refused(pack, out):
    attributes = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}
    evil = member("evil.h5", size=512, pax_headers={**attributes, "GNU.sparse.name": "evil.h5"})
    with pytest.raises(ArchiveError, match="a damaged one"):
        unpack(pack(tar(more=[(evil, b"99999999\n" + b"0\n" * 251 + b"0")])), out)


def test_too_little_room_is_told_before_writing(pack, out, monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage._replace(free=3001))
    with pytest.raises(ArchiveError, match=r"expected at most 3\.00 kB for 'multicoil_val/file1000002\.h5'"):
        unpack(pack(tar()), out)
    assert files_in(out) == files_of("file1000000.h5", "file1000001.h5")


def test_a_full_disk_leaves_no_half_file(pack, out):
    path = pack(tar({**VOLUMES, "multicoil_val/large.h5": bytes(200_000)}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"while unpacking .*archive\.tar\.xz; make room.*large\.h5"):
            unpack(path, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files_in(out) == VOLUMES
    assert len(unpack(path, out)) == 5


def test_progress_counts_the_archive(pack, out, monkeypatch, capsys):
    monkeypatch.setattr(progress, "REPORT_EVERY", -1.0)
    path = pack(tar())
    unpack(path, out)
    size = progress.amount(path.stat().st_size)
    assert f"archive.tar.xz: {size} of {size}, " in capsys.readouterr().out


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    made = []
    for name, files in {"knee": ["a.h5", "b.h5", "notes.txt", "._a.h5"], "brain": ["c.h5"]}.items():
        folder = tmp_path / name
        folder.mkdir()
        made.append(folder)
        for file in files:
            (folder / file).write_text(f"{name} {file}")
    return made


def test_volumes_on_disk_are_linked_not_copied(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = link_volumes([Path("brain"), "knee"], tmp_path / "links")
    links = found.links
    assert found.rejected == {}
    assert links == [tmp_path / "links" / name for name in ("a.h5", "b.h5", "c.h5")]
    assert all(link.is_symlink() and link.readlink().is_absolute() for link in links)
    assert [link.read_text() for link in links] == ["knee a.h5", "knee b.h5", "brain c.h5"]


def test_links_follow_the_folders(folders, tmp_path):
    into = tmp_path / "links"
    link_volumes(folders, into)
    (into / "own.txt").write_text("")
    (into / "unpacked.h5").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.h5").write_text("other a.h5")
    assert link_volumes([tmp_path / "other"], into).links == [into / "a.h5"]
    assert (into / "a.h5").read_text() == "other a.h5"
    assert sorted(os.listdir(into)) == ["a.h5", "own.txt", "unpacked.h5"]
    assert link_volumes([tmp_path / "other"], into).links == [into / "a.h5"]


def test_one_file_by_two_ways_is_one_volume(folders, tmp_path):
    (tmp_path / "again").symlink_to(folders[0])
    assert len(link_volumes([*folders, tmp_path / "again", folders[0]], tmp_path / "links").links) == 3


def test_two_volumes_of_one_name_are_refused(folders, tmp_path):
    (folders[1] / "a.h5").write_text("another")
    with pytest.raises(ValueError, match=r"one volume a\.h5, got .*/knee/a\.h5 and .*/brain/a\.h5"):
        link_volumes(folders, tmp_path / "links")
    assert not (tmp_path / "links").exists()


def test_a_volume_that_is_no_link_is_left_alone(folders, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "b.h5").write_text("mine")
    with pytest.raises(ValueError, match=r"links/b\.h5: expected a link or nothing, got a file"):
        link_volumes(folders, tmp_path / "links")
    assert os.listdir(tmp_path / "links") == ["b.h5"]


def test_folders_without_volumes_are_refused(folders, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: expected a folder of volumes, got no folder"):
        link_volumes([*folders, tmp_path / "absent"], tmp_path / "links")
    with pytest.raises(ValueError, match=r"expected volumes \(\*\.h5\), got none; name the folder"):
        link_volumes([tmp_path], tmp_path / "links")
    (tmp_path / "a.HDF5").write_text("volume")
    with pytest.raises(ValueError, match=r"got none but a\.HDF5, whose ending is another; name"):
        link_volumes([tmp_path], tmp_path / "links")
    with pytest.raises(ValueError, match="expected folders of volumes, got none"):
        link_volumes([], tmp_path / "links")


def test_an_entry_that_is_no_volume_does_not_cost_the_others(folders, tmp_path):
    knee, brain = folders
    (knee / "dangling.h5").symlink_to("nowhere")
    (knee / "circle.h5").symlink_to("circle.h5")
    (knee / "empty.h5").touch()
    (knee / "folder.h5").mkdir()
    (knee / "capitals.H5").write_text("volume")
    (knee / "ending.hdf5").write_text("volume")
    (knee / ".hidden.h5").symlink_to("nowhere")
    (knee / "notes").symlink_to("nowhere")
    os.mkfifo(brain / "pipe.h5")
    (brain / "two\nlines.h5").write_text("volume")
    (brain / os.fsdecode(b"caf\xe9.h5")).write_text("volume")
    into = tmp_path / "links"
    into.mkdir()
    (into / "dangling.h5").symlink_to(knee / "dangling.h5")
    found = link_volumes(folders, into)
    assert [link.name for link in found.links] == sorted(os.listdir(into)) == ["a.h5", "b.h5", "c.h5"]
    printed, file = "a name that can be printed, got another; rename it", "a file of a volume, got"
    reasons = {
        "capitals.H5": "the ending .h5, got .H5; rename it or leave it out",
        "ending.hdf5": "the ending .h5, got .hdf5; rename it or leave it out",
        "caf\\udce9.h5": printed,
        "two\\nlines.h5": printed,
        "circle.h5": f"{file} a link that leads nowhere; mend it or leave it out",
        "dangling.h5": f"{file} a link to nowhere, where nothing is; mend it or leave it out",
        "empty.h5": f"{file} an empty file (0 bytes); mend it or leave it out",
        "folder.h5": f"{file} a folder; mend it or leave it out",
        "pipe.h5": f"{file} a pipe, a socket or a device; mend it or leave it out",
    }
    of_brain = ("caf\\udce9.h5", "two\\nlines.h5", "pipe.h5")
    expected = {
        name: f"{brain if name in of_brain else knee}/{name}: expected {reason}"
        for name, reason in reasons.items()
    }
    assert found.rejected == expected
    json.dumps(found.rejected).encode()
    (knee / "dangling.h5").unlink()
    (knee / "dangling.h5").symlink_to("a.h5")
    assert "dangling.h5" not in link_volumes(folders, into).rejected


def test_a_file_without_the_right_to_read_it_is_rejected(folders, tmp_path, monkeypatch):
    closed = folders[0] / "b.h5"
    monkeypatch.setattr(
        archives, "found_instead", lambda path: "no right to read it" if path == closed else None
    )
    found = link_volumes(folders, tmp_path / "links")
    assert [link.name for link in found.links] == ["a.h5", "c.h5"]
    assert "got no right to read it; mend it" in found.rejected["b.h5"]


def test_names_of_volumes_may_be_unusual(tmp_path):
    names = [
        "it's.h5",
        "knee 1.h5",
        "knee.v2.h5",
        "rücken-膝.h5",
        'say "a".h5',
        "{x}.h5",
        "NA.h5",
        "$HOME.h5",
    ]
    folder = tmp_path / "o'neil data"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name)
    found = link_volumes([folder], tmp_path / "links")
    assert {link.name: link.read_text() for link in found.links} == {name: name for name in names}
    assert found.rejected == {}


def test_a_volume_and_a_broken_one_of_its_name_are_two(folders, tmp_path):
    (folders[1] / "a.h5").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"one volume a\.h5, got .*/knee/a\.h5 and .*/brain/a\.h5"):
        link_volumes(folders, tmp_path / "links")
