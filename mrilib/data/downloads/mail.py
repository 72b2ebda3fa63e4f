"""The fastMRI mail: links to archives."""

import html
import itertools
import quopri
import re
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path

from mrilib.data.downloads.failures import FASTMRI_SITE, DownloadError
from mrilib.data.downloads.resumable import without_query
from mrilib.data.downloads.saved_text import decoded, without_utf16

EXAMPLE = 'curl -C - "https://…/knee_multicoil_val.tar.xz?…" --output knee_multicoil_val.tar.xz'

# Programs for mail turn quotes into curly ones and `--` into a dash.
_DOUBLE, _SINGLE = '"“”„‟«»', "'‘’‚‛"
_QUOTES = _DOUBLE + _SINGLE
_COMMAND = re.compile(r"(?<![\w./-])(curl|wget)(?:\.exe)?(?=\s)")

# What ends a word in a shell, or is a mark of the text around it.
_WORD = rf"[^\s{_QUOTES}`*;|&<>()]+"
_NAME = "|".join(
    [
        *(rf"[{marks}]([^{marks}\n]*(?:\n[^{marks}\n]+)?)[{marks}]" for marks in (_DOUBLE, _SINGLE)),
        rf"[{_QUOTES}`*(]*({_WORD})",
    ]
)
_LONG, _START, _END = "(?:--|[–—])", rf"(?<=[\s{_QUOTES}])", r"(?=\s|$)"
# Letters that take no argument may stand before and after -o and -O.
_CURL_FLAGS, _WGET_FLAGS = "[#0-9afgijklnpqsvBGIJLMNRSZ]*", "[bcdqvxNSH46]*"
_OUTPUTS = {
    "curl": re.compile(rf"{_START}(?:{_LONG}output[=\s]|-{_CURL_FLAGS}o)\s*(?:{_NAME})"),
    "wget": re.compile(rf"{_START}(?:{_LONG}output-document[=\s]|-{_WGET_FLAGS}O)\s*(?:{_NAME})"),
}
_REMOTE_NAMES = {
    "curl": re.compile(rf"{_START}(?:{_LONG}remote-name(?:-all)?|-{_CURL_FLAGS}O{_CURL_FLAGS}){_END}"),
    # wget names a file by its URL unless told otherwise; in a sentence something else follows the word.
    "wget": re.compile(rf"\s*(?:--?\w[\w-]*(?:=\S*)?\s+)*(?=[{_QUOTES}<]?https?://)"),
}
# Not beyond an option: there the closing quote is missing.
_INSIDE = rf"(?!\s(?:{_LONG}output|-[oO]\s))"
_URL = re.compile(
    "|".join(
        [
            *(
                rf"[{marks}]\s*<?(https?://(?:{_INSIDE}[^{marks}<>])*)>?\s*[{marks}]"
                for marks in (_DOUBLE, _SINGLE)
            ),
            rf"(https?://[^\s{_QUOTES}`<>|]+)",
        ]
    )
)
# URLs that are not those of the file.
_OTHER_URL = re.compile(rf"{_START}(?:-x|-e|{_LONG}(?:proxy|preproxy|referer))[=\s]\s*[{_QUOTES}]?$")


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
    quotes, with `-o`, with `-O` (the name is the last part of the URL), of `curl.exe`, of `wget` and its
    `-O`, broken over lines (also inside a quoted URL, by `\\`, by `^` or by PowerShell's backtick), quoted by
    `>`, as quoted-printable, with HTML entities or tags, in UTF-8 or UTF-16, with any line ends. Marks of the
    sentence around a command end its last word. Other text is passed over.

    A name that stands twice for the same file (URLs that differ in their query alone) gets the last link: a
    newer mail is put below an older one. For different files it is refused.

    Returns:
        Name to link, in the order of the mail.

    Raises:
        ValueError: if there is no link, a name with a folder in it, a URL that is none, several files in one
            command, or one name for two files.
    """
    text = _plain(Path(path).read_bytes())
    starts = [(found[1], found.end()) for found in _COMMAND.finditer(text)]
    links: dict[str, Link] = {}
    for (program, start), (_, end) in itertools.pairwise([*starts, ("", len(text))]):
        link = _link(path, program, text[start:end])
        if link is None:
            continue
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


def _link(path: str | Path, program: str, command: str) -> Link | None:
    """What a command loads, with all that follows it up to the next one; `None` if it is no such command."""
    urls = [found for found in _URL.finditer(command) if not _OTHER_URL.search(command[: found.start()])]
    outputs = list(_OUTPUTS[program].finditer(command))
    remote = _REMOTE_NAMES[program]
    by_url = list(remote.finditer(command)) if program == "curl" else [remote.match(command)][: not outputs]
    options = sorted([*outputs, *filter(None, by_url)], key=lambda found: found.start())
    if not urls or not options:
        return None
    line = command.find("\n") % (len(command) + 1)
    several = min(sum(found.start() < line for found in each) for each in (urls, options))
    if several > 1:
        raise ValueError(
            f"read_mail: {path}: expected one file in a command, got {several} in one line; write a command "
            "for each"
        )
    url = _first_group(urls[0])
    if urls[0].lastindex == urls[0].re.groups:
        # Without quotes a sentence may go on right behind it, and shells want a stroke before some marks.
        url = re.sub(r"\\(?=[?&=%#])", "", url).rstrip(".,;:!?)]}*\\^")
    url = re.sub(r"\s+", "", url)
    if options[0].re is remote:
        name = (
            url.partition("?")[0].partition("#")[0].partition("://")[2].partition("/")[2].rpartition("/")[2]
        )
        return Link(name=name, url=url) if name else None
    name = re.sub(r"\s*\n\s*", " ", _first_group(options[0])).strip()
    if options[0].lastindex == options[0].re.groups:
        name = name.rstrip(".,:!?*]}^\\") or name
    if not name or set(name) & {"/", "\\"} or name[0] in ".-" or not name.isprintable():
        raise ValueError(
            f"read_mail: {path}: expected the name of a file after --output, got {name!r}; "
            "name it without a folder and without a dot in front"
        )
    return Link(name=name, url=url)


def _first_group(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group is not None)


def _plain(content: bytes) -> str:
    """The text of a mail as its reader sees it, without marks of quotation and tags, commands in one line."""
    text = _message(without_utf16(content))
    text = re.sub(r"^(?:[ \t]*>)+ ?", "", re.sub(r"\r\n?", "\n", text), flags=re.MULTILINE)
    # A soft break or an `=`, and no `=` that quoted-printable would have written otherwise.
    if re.search("=(?:\n|3D)", text) and not re.search(r"=(?![0-9A-F]{2}|[ \t]*\n)", text):
        text = quopri.decodestring(text.encode()).decode(errors="replace")
    text = re.sub(r"<(?:br|/p|/div|/li|/tr|/pre)\b[^<>]*>", "\n", text, flags=re.IGNORECASE)
    # Not of a link in angle brackets.
    text = re.sub(r"<(?!https?://)[^<>]*>", "", text)
    # Only with a semicolon: `&reg=…` in a query is no entity.
    text = re.sub(r"&#?\w+;", lambda entity: html.unescape(entity[0]), text)
    # How a command goes on in the next line: in Unix' shells, Windows' cmd, PowerShell.
    text = re.sub(r"(?:[\\^]|(?<=[ \t])`)[ \t]*\n", "", text)
    # cmd may have a `^` before marks.
    return re.sub(r"\^(?=[\"&%^<>|])", "", text)


def _message(content: bytes) -> str:
    """The text of a saved mail: of its plain parts, or else of all, where it has the headers of a mail."""
    message = message_from_bytes(content)
    if not message.is_multipart() and "Content-Transfer-Encoding" not in message:
        return decoded(content)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    plain = [part for part in parts if part.get_content_subtype() == "plain"]
    texts = []
    for part in plain or parts:
        payload = part.get_payload(decode=True)
        texts.append(_in_charset(payload, part.get_content_charset()) if isinstance(payload, bytes) else "")
    return "\n".join(texts)


def _in_charset(payload: bytes, charset: str | None) -> str:
    if charset in (None, "utf-8", "us-ascii"):
        return decoded(payload)
    try:
        return payload.decode(charset, errors="replace")
    except LookupError:
        return decoded(payload)
