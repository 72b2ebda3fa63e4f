"""Checksums are read from what any program writes of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrilib.data.downloads.manifest import read_manifest
from tests.data.downloads.test_mail import TEXT, names

VAL, TEST = "knee multicoil (val).tar.xz", "brain_test.tar.gz"
SUMS = {VAL: "0a" * 32, TEST: "f1" * 32}


def table():
    """What `Get-FileHash *` shows on a console that is wide enough."""
    head = f"{'Algorithm':15} {'Hash':72} Path\n{'-' * 9:15} {'-' * 4:72} ----\n"
    rows = "".join(f"{'SHA256':15} {value.upper():72} C:\\Data\\{name}\n" for name, value in SUMS.items())
    return f"\n{head}{rows}\n\n"


FORMS = {
    "sha256sum": "".join(f"{value}  {name}\n" for name, value in SUMS.items()),
    "sha256sum -b": "".join(f"{value} *{name}\n" for name, value in SUMS.items()),
    "shasum": "".join(f"{value}  ./data/{name}\n" for name, value in SUMS.items()),
    "shasum -U": "".join(f"{value} ^{name}\n" for name, value in SUMS.items()),
    "BSD": "".join(f"SHA256 ({name}) = {value}\n" for name, value in SUMS.items()),
    "openssl 1": "".join(f"SHA256({name})= {value}\n" for name, value in SUMS.items()),
    "openssl 3": "".join(f"SHA2-256(/data/{name})= {value}\n" for name, value in SUMS.items()),
    "openssl -r": "".join(f"{value} *{name}\n" for name, value in SUMS.items()),
    "PowerShell": table(),
    "PowerShell, list": "\n\n".join(
        f"Algorithm : SHA256\nHash      : {value.upper()}\nPath      : C:\\Data\\{name}\n"
        for name, value in SUMS.items()
    ),
    "capitals": "".join(f"{value.upper()}  {name}\n" for name, value in SUMS.items()),
    "blank lines": "\n# of 2024\n\n" + "\n\n".join(f"{value}\t{name} " for name, value in SUMS.items()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_form_gives_the_same_sums(tmp_path, form, end, encoding):
    (tmp_path / "SHA256").write_bytes(FORMS[form].replace("\n", end).encode(encoding))
    assert read_manifest(tmp_path / "SHA256") == SUMS


def test_names_without_checksums_are_told_as_such(tmp_path):
    volumes = "".join(f"file100{number:04}.h5\n" for number in (0, 7, 17))
    for text, count in ((volumes, 3), (f"# v2.0\n\nmulticoil_val/{volumes}", 3), ("knee_val.tar.xz\r\n", 1)):
        (tmp_path / "manifest.txt").write_text(text)
        with pytest.raises(
            ValueError, match=f"got a list of {count} names without checksums; name the file of"
        ):
            read_manifest(tmp_path / "manifest.txt")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{'0' * 32}  a.tar.xz", "line 1: .* got 32 digits, which MD5 has; write SHA-256 sums"),
        (f"MD5 (a.tar.xz) = {'0' * 32}", "got 32 digits, which MD5 has"),
        (f"SHA512(a.tar.xz)= {'0' * 128}", "got 128 digits, which SHA-512 has"),
        (f"SHA1  {'A' * 40}  C:\\a.tar.xz", "got 40 digits, which SHA-1 has"),
        (f"SHA3-256(a.tar.xz)= {'0' * 64}", "line 1: expected 64 hexadecimal digits and a name"),
        (
            f"SHA256  {'A' * 64}  C:\\Users\\me\\kn...",
            "line 1: expected a whole name, got one that was cut, 'kn...'",
        ),
        (f"SHA256  {'A' * 64}", "line 1: expected 64 hexadecimal digits and a name"),
        (f"Algorithm : MD5\nHash : {'0' * 32}\nPath : a.tar.xz", "line 3: .*which MD5 has"),
        (f"Algorithm : SHA256\nHash : {'0' * 64}\n", "got algorithm, hash of the last one"),
    ],
)
def test_what_is_no_sha256_of_a_file_is_told(tmp_path, text, told):
    (tmp_path / "SHA256").write_text(text)
    with pytest.raises(ValueError, match=told):
        read_manifest(tmp_path / "SHA256")


def test_a_manifest_is_read_as_sha256sum_writes_it(tmp_path):
    first, second, third = "0" * 64, "A1" * 32, "f" * 64
    knee = f"{first}  knee val.tar.xz"
    text = f"# fastMRI\r\n{knee}\r\n\r\n{second} *./brain/test.tar.gz\n {third}\tx\n{knee}"
    (tmp_path / "SHA256").write_bytes(text.encode())
    expected = {"knee val.tar.xz": first, "test.tar.gz": second.lower(), "x": third}
    assert read_manifest(tmp_path / "SHA256") == expected


@settings(deadline=None)
@given(st.dictionaries(names, st.binary(min_size=32, max_size=32), min_size=1), st.booleans())
def test_manifests_come_back_as_they_were(tmp_path_factory, sums, binary):
    path = tmp_path_factory.getbasetemp() / "drawn-manifest"
    path.write_text(
        "".join(f"{value.hex()} {'*' if binary else ' '}{name}\n" for name, value in sums.items())
    )
    assert read_manifest(path) == {name: value.hex() for name, value in sums.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0" * 63 + "  a", "line 1: expected 64 hexadecimal digits and a name"),
        ("# a\n" + "0" * 64, "line 2: expected 64 hexadecimal digits and a name"),
        ("0" * 64 + "  a/", "line 1: expected 64"),
        (TEXT, "line 1: expected 64 hexadecimal digits and a name"),
        ("0" * 64 + "  a\n" + "1" * 64 + "  a", "line 2: expected one checksum of a, got a second one"),
        ("\n", "expected lines `HASH  NAME`, got none"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path, text, message):
    (tmp_path / "SHA256").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_manifest(tmp_path / "SHA256")
    assert "SECRET" not in str(caught.value)
