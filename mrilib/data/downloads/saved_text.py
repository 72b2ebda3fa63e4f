"""Text as other programs save it, in whatever encoding."""

import codecs
import re


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8 or UTF-16, with a mark of the encoding or without.

    Bytes that are no UTF-8 count as Windows-1252, whose quotes stand in many a mail.
    """
    text = without_utf16(content).decode("utf-8-sig", errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda found: _byte(found[0]).decode("cp1252", errors="replace"), text)


def without_utf16(content: bytes) -> bytes:
    """The same in UTF-8 where it is in UTF-16, as PowerShell and Notepad write it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace").encode()
    # Of text in Latin letters every second byte is zero.
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if content and 4 * content[first::2].count(0) > len(content):
            return content.decode(encoding, errors="replace").encode()
    return content


def _byte(escaped: str) -> bytes:
    return bytes([ord(escaped) - 0xDC00])
