"""The fastMRI mail: links to archives, and the manifest of their checksums."""

import html
import itertools
import quopri
import re
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path

from mrilib.data.downloads.failures import FASTMRI_SITE, DownloadError
from mrilib.data.downloads.resumable import without_query

EXAMPLE = 'curl -C - "https://…/knee_multicoil_val.tar.xz?…" --output knee_multicoil_val.tar.xz'

# Programs for mail turn quotes into curly ones and `--` into a dash.
_QUOTES = "\"'“”„‟‘’‚‛«»"
_COMMAND = re.compile(r"(?<![\w./-])curl(?=\s)")
_QUOTED_URL = re.compile(rf"[{_QUOTES}]\s*(https?://[^{_QUOTES}]*)[{_QUOTES}]")
_BARE_URL = re.compile(rf"(https?://[^\s{_QUOTES}]+)")
_OUTPUT = re.compile(rf"\s(?:(?:--|[–—])output[=\s]|-o)\s*[{_QUOTES}]?([^\s{_QUOTES}]+)")


@dataclass(frozen=True)
class Link:
    """Where an archive lies.

    Args:
        name: of the file.
        url: with its signature, so it is not shown with the link; `place` is.
    """

    name: str
    url: str = field(repr=False)

    @property
    def place(self) -> str:
        """The URL without its secrets."""
        return without_query(self.url)


def read_mail(path: str | Path) -> dict[str, Link]:
    """Read the links from the mail that fastMRI sends, saved as text, as `.eml` or as HTML.

    Taken are commands `curl -C - "URL" --output NAME`, wherever they stand: with straight, curly or no
    quotes, with `-o`, broken over lines (also inside a quoted URL), quoted by `>`, as quoted-printable, with
    HTML entities or tags, with any line ends. Other text is passed over.

    A name that stands twice for the same file (URLs that differ in their query alone) gets the last link: a
    newer mail is put below an older one. For different files it is refused.

    Returns:
        Name to link, in the order of the mail.

    Raises:
        ValueError: if there is no link, a name with a folder in it, a URL that is none, or one name for two
            files.
    """
    text = _plain(Path(path).read_bytes())
    starts = [found.end() for found in _COMMAND.finditer(text)]
    links: dict[str, Link] = {}
    for start, end in itertools.pairwise([*starts, len(text)]):
        command = text[start:end]
        output = _OUTPUT.search(command)
        url = _QUOTED_URL.search(command) or _BARE_URL.search(command)
        if not output or not url:
            continue
        link = Link(name=output[1], url=re.sub(r"\s+", "", url[1]))
        if "/" in link.name or "\\" in link.name or link.name.startswith("."):
            raise ValueError(
                f"read_mail: {path}: expected the name of a file after --output, got {link.name!r}; "
                "name it without a folder and without a dot in front"
            )
        try:
            place = link.place
        except DownloadError as error:
            raise ValueError(f"read_mail: {path}: the link of {link.name}: {error}") from None
        if link.name in links and links[link.name].place != place:
            raise ValueError(
                f"read_mail: {path}: expected one file for {link.name}, got {links[link.name].place} and "
                f"{place}; leave one of them out"
            )
        links[link.name] = link
    if not links:
        raise ValueError(
            f"read_mail: {path}: expected lines as {EXAMPLE}, got none; save the whole mail from "
            f"{FASTMRI_SITE} as text"
        )
    return links


def read_manifest(path: str | Path) -> dict[str, str]:
    """Read checksums as `sha256sum` writes them: lines `HASH  NAME` or `HASH *NAME`.

    Folders before a name are left out, blank lines and lines that begin with `#` are passed over.

    Returns:
        Name to SHA-256, 64 lower-case hexadecimal digits.

    Raises:
        ValueError: if a line is of another form, if a name has two checksums, or if there is no line.
    """
    sums: dict[str, str] = {}
    text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = re.fullmatch(r"\s*([0-9a-fA-F]{64})\s+\*?(?:.*/)?([^/]*[^/\s])\s*", line)
        if not found:
            raise ValueError(
                f"read_manifest: {path}, line {number}: expected 64 hexadecimal digits and a name, got "
                f"{len(line)} other characters; load the SHA-256 file again"
            )
        value, name = found[1].lower(), found[2]
        if sums.setdefault(name, value) != value:
            raise ValueError(
                f"read_manifest: {path}, line {number}: expected one checksum of {name}, got a second one; "
                "leave out that of the other release"
            )
    if not sums:
        raise ValueError(f"read_manifest: {path}: expected lines `HASH  NAME`, got none; load it again")
    return sums


def _plain(content: bytes) -> str:
    """The text of a mail as its reader sees it, without marks of quotation and tags."""
    text = _decoded(content)
    text = re.sub(r"^(?:[ \t]*>)+ ?", "", re.sub(r"\r\n?", "\n", text), flags=re.MULTILINE)
    # A soft break, and no `=` that quoted-printable would have written otherwise.
    if "=\n" in text and not re.search(r"=(?![0-9A-F]{2}|[ \t]*\n)", text):
        text = quopri.decodestring(text.encode()).decode(errors="replace")
    text = re.sub(r"<(?:br|/p|/div|/li|/tr|/pre)\b[^<>]*>", "\n", text, flags=re.IGNORECASE)
    text = re.sub(r"<[^<>]*>", "", text)
    # Only with a semicolon: `&reg=…` in a query is no entity.
    return re.sub(r"&#?\w+;", lambda entity: html.unescape(entity[0]), text)


def _decoded(content: bytes) -> str:
    """The text of a saved mail: of its plain parts, or else of all, where it has the headers of a mail."""
    message = message_from_bytes(content)
    if not message.is_multipart() and "Content-Transfer-Encoding" not in message:
        return content.decode("utf-8-sig", errors="replace")
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    plain = [part for part in parts if part.get_content_subtype() == "plain"]
    texts = []
    for part in plain or parts:
        payload = part.get_payload(decode=True)
        texts.append(payload.decode(errors="replace") if isinstance(payload, bytes) else "")
    return "\n".join(texts)
