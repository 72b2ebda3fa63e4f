"""The manifest of fastMRI's archives: their SHA-256, as any program writes it."""

import re
from pathlib import Path

from mrilib.data.downloads.saved_text import decoded

_SUM = "(?P<sum>[0-9a-fA-F]{64})"
_LINES = (
    # sha256sum, shasum, openssl -r: a mark before the name says how the file was read
    re.compile(rf"{_SUM}\s+[*?^]?(?P<name>.+)"),
    # BSD, openssl
    re.compile(rf"SHA-?(?:2-)?256\s*\((?P<name>.+)\)\s*=\s*{_SUM}", re.IGNORECASE),
    # PowerShell, as a table
    re.compile(rf"SHA256\s+{_SUM}\s+(?P<name>.+)", re.IGNORECASE),
)
# PowerShell: the head of a table, and the lines of a list, which say one thing each.
_HEAD = re.compile(r"Algorithm\s+Hash\s+Path|[-\s]+", re.IGNORECASE)
_FIELD = re.compile(r"(Algorithm|Hash|Path)\s*:\s*(.*)", re.IGNORECASE)
# By the number of their digits.
_OTHERS = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}
_NAME_ALONE = re.compile(r"\S+\.(?:h5|hdf5|tar|xz|gz|tgz|zip|dcm|csv|pdf|txt)", re.IGNORECASE)


def read_manifest(path: str | Path) -> dict[str, str]:
    """Read checksums as sha256sum, shasum, BSD's sha256, openssl or PowerShell's Get-FileHash write them.

    Lines are `HASH  NAME`, `HASH *NAME`, `SHA256 (NAME) = HASH`, `SHA2-256(NAME)= HASH`, and those of
    PowerShell's tables and lists (`Format-List`), in UTF-8 or UTF-16, with any line ends. Folders before a
    name are left out; blank lines and lines that begin with `#` are passed over.

    Returns:
        Name to SHA-256, 64 lower-case hexadecimal digits.

    Raises:
        ValueError: if a line is of another form or has another checksum than SHA-256, if a name was cut, if a
            name has two checksums, if there is no line, or if there are names without checksums, as in the
            manifest that fastMRI's repository has.
    """
    lines = re.split(r"\r\n?|\n", decoded(Path(path).read_bytes()))
    told = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    told = [(number, line) for number, line in told if line and not line.startswith("#")]
    if told and all(_NAME_ALONE.fullmatch(line) for _, line in told):
        raise ValueError(
            f"read_manifest: {path}: expected checksums with names, got a list of {len(told)} names without "
            "checksums; name the file of SHA-256 sums, or leave `manifest` out"
        )
    sums: dict[str, str] = {}
    fields: dict[str, str] = {}
    for number, line in told:
        where = f"read_manifest: {path}, line {number}"
        if _HEAD.fullmatch(line):
            continue
        if field := _FIELD.fullmatch(line):
            fields |= {field[1].lower(): field[2]}
            if len(fields) < 3:
                continue
            line = "{algorithm} {hash} {path}".format(**fields)
            fields = {}
        found = next(filter(None, (form.fullmatch(line) for form in _LINES)), None)
        # Windows has either stroke between folders.
        name = re.split(r"[\\/]", found["name"])[-1].strip() if found else ""
        if not found or not name:
            raise ValueError(f"{where}: expected 64 hexadecimal digits and a name, got {_instead(line)}")
        if name.endswith(("...", "…")):
            raise ValueError(
                f"{where}: expected a whole name, got one that was cut, {name!r}; write the list again with "
                "`| Format-List`"
            )
        value = found["sum"].lower()
        if sums.setdefault(name, value) != value:
            raise ValueError(
                f"{where}: expected one checksum of {name}, got a second one; leave out that of the other "
                "release"
            )
    if fields:
        raise ValueError(
            f"read_manifest: {path}: expected Algorithm, Hash and Path of each file, got "
            f"{', '.join(fields)} of the last one; write the list again"
        )
    if not sums:
        raise ValueError(f"read_manifest: {path}: expected lines `HASH  NAME`, got none; load it again")
    return sums


def _instead(line: str) -> str:
    """What a line has instead of a SHA-256; not the line itself, which may hold the links of a mail."""
    for digits in re.findall(r"\b[0-9a-fA-F]{32,128}\b", line):
        if len(digits) in _OTHERS:
            return f"{len(digits)} digits, which {_OTHERS[len(digits)]} has; write SHA-256 sums"
    return f"{len(line)} other characters; load the SHA-256 file again"
