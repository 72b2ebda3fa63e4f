"""Links and checksums are read from whatever a mail program makes of the mail."""

import base64
import html
import quopri
import re
import textwrap
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrilib.data.downloads.mail import Link, read_mail, read_manifest

BUCKET = "https://fastmri-dataset.s3.amazonaws.com/v2.0/"
SIGNED = "?AWSAccessKeyId=AKIASECRETKEY&Signature=s3cr3t%2Fxy%3D&Expires=1700000000"
NAMES = ["knee_multicoil_val.tar.xz", "brain_multicoil_test_batch_0.tar.xz", "knee_singlecoil_train.tar.gz"]
LINKS = {name: BUCKET + name + SIGNED for name in NAMES}
TEXT = (
    "Thank you for your interest in fastMRI. We recommend using curl with recovery mode turned on:\n\n"
    + "\n".join(f'curl -C - "{url}" --output {name}' for name, url in LINKS.items())
    + f"\n\nKnee data: {BUCKET}knee.pdf, or see https://fastmri.med.nyu.edu/ -o r by mail.\n"
)


def urls(path) -> dict[str, str]:
    return {name: link.url for name, link in read_mail(path).items()}


def eml(text: str, subtype: str, encoding: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = "NYU fastMRI data: download links"
    message.set_content(text, subtype=subtype, cte=encoding)
    return message.as_bytes()


def multipart() -> bytes:
    message = EmailMessage()
    message.set_content(TEXT, cte="base64")
    message.add_alternative(f"<p>{html.escape(TEXT)}</p>", subtype="html")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png")
    return message.as_bytes()


FORMS = {
    "plain": TEXT,
    "crlf": TEXT.replace("\n", "\r\n"),
    "old mac": TEXT.replace("\n", "\r"),
    "marked": "\ufeff" + TEXT,
    "single quotes": TEXT.replace('"', "'"),
    "curly quotes": TEXT.replace(' "', " “").replace('" ', "” "),
    "no quotes": TEXT.replace('"', ""),
    "short option": TEXT.replace("--output", "-o"),
    "dashes": TEXT.replace("--output", "—output").replace("-C -", "-C –"),
    "equals": TEXT.replace("--output ", "--output="),
    "quoted names": TEXT.replace("--output ", '--output "').replace("xz\n", 'xz"\n').replace("gz\n", 'gz"\n'),
    "forwarded": textwrap.indent(TEXT, "> ", lambda _: True),
    "forwarded twice": textwrap.indent(TEXT, ">> ", lambda _: True),
    "entities": html.escape(TEXT),
    "wrapped": "\n".join(textwrap.fill(line, 60, break_on_hyphens=False) for line in TEXT.splitlines()),
    "wrapped and forwarded": textwrap.indent(
        "\n".join(textwrap.fill(line, 60, break_on_hyphens=False) for line in TEXT.splitlines()), "> "
    ),
    "over two lines": TEXT.replace(" --output", " \\\n  --output"),
    "order": "\n".join(f"$ curl -C - --output {name} '{url}'" for name, url in LINKS.items()),
    "html": "<html><body><p>" + html.escape(TEXT).replace("\n", "<br/>\n") + "</p></body></html>",
    "anchors": "<div>"
    + "</div><div>".join(
        f'curl -C - "<a href="{html.escape(url)}">{html.escape(url)}</a>" --output {name}'
        for name, url in LINKS.items()
    )
    + "</div>",
    "quoted-printable": quopri.encodestring(TEXT.encode()).decode(),
    "quoted-printable, forwarded": textwrap.indent(quopri.encodestring(TEXT.encode()).decode(), "> "),
    "eml": eml(TEXT, "plain", "7bit").decode(),
    "eml, quoted-printable": eml(TEXT, "plain", "quoted-printable").decode(),
    "eml, base64": eml(TEXT, "plain", "base64").decode(),
    "eml, html": eml(f"<p>{html.escape(TEXT)}</p>", "html", "quoted-printable").decode(),
    "eml, parts": multipart().decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_mail_gives_the_same_links(tmp_path, form):
    (tmp_path / "mail").write_bytes(FORMS[form].encode())
    assert urls(tmp_path / "mail") == LINKS


def test_a_mail_that_is_not_utf8_is_read(tmp_path):
    (tmp_path / "mail").write_bytes(b"Gr\xfc\xdfe\n" + TEXT.encode())
    assert urls(tmp_path / "mail") == LINKS


names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.%+-]{0,30}\.tar\.(xz|gz)", fullmatch=True)
# what stands in signed links: the identifier of a key begins with AKIA, and `'` and quotes are encoded
texts = st.text("abzABZ019-._~%/+=&", max_size=90)
folders = st.from_regex(r"(/[a-z0-9._-]{1,12}){0,3}", fullmatch=True)
fillings = st.sampled_from(
    ["", "Dear user,\n", "\n\nKnee:\n", "use curl, or a browser\n", "-- \nNYU <a@b.org>\n"]
)


@st.composite
def mails(draw):
    links = {
        name: f"https://bucket.s3.amazonaws.com{draw(folders)}/{name}?AWSAccessKeyId=AKIA{draw(texts)}"
        for name in draw(st.lists(names, min_size=1, max_size=4, unique=True))
    }
    quote = draw(st.sampled_from(['""', "''", "“”", "„“", "«»"]))
    option = draw(st.sampled_from(["--output ", "-o ", "--output=", "—output "]))
    lines = [
        f"{draw(fillings)}curl -C - {quote[0]}{url}{quote[1]} {option}{name}" for name, url in links.items()
    ]
    text = "\n".join(lines) + "\n"
    if draw(st.booleans()):
        text = quopri.encodestring(text.encode()).decode()
    elif draw(st.booleans()):
        text = text.replace("&", "&amp;")
    if draw(st.booleans()):
        text = textwrap.indent(text, "> ", lambda _: True)
    return links, text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@settings(deadline=None)
@given(mails())
def test_links_come_back_as_they_were(tmp_path_factory, drawn):
    links, text = drawn
    path = tmp_path_factory.getbasetemp() / "drawn-mail"
    path.write_bytes(text.encode())
    assert urls(path) == links


COMMANDS = ["curl ", "-C - ", '"', "“", "https://", "http://h/a?b=3D", " --output ", "-o", "a.tar.xz", "../"]
MARKS = ["=\n", "\n", "\r\n", "> ", "<", ">", "<br>", "&amp;", "&#0;", "0" * 64, " *", "é"]
PIECES = st.sampled_from([*COMMANDS, *MARKS, "Content-Transfer-Encoding: base64\n\n"])


@settings(deadline=None)
@given(st.binary(max_size=300) | st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode()))
def test_anything_else_gives_links_or_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "no-mail"
    path.write_bytes(content)
    for read in (read_mail, read_manifest):
        try:
            assert read(path)
        except ValueError as error:
            assert re.match(rf"{read.__name__}: {path}.*: expected ", str(error)), error  # noqa: PT017


def test_nothing_found_shows_what_a_line_looks_like(tmp_path):
    (tmp_path / "mail").write_text("see https://fastmri.med.nyu.edu/ and use curl")
    with pytest.raises(
        ValueError, match=r"expected lines as curl -C - \"https://.*--output .*\.tar\.xz, got none"
    ):
        read_mail(tmp_path / "mail")


@pytest.mark.parametrize("name", ["../up.tar.xz", "/etc/passwd", "a/b.tar.xz", "..", ".hidden", "a\\b"])
def test_names_with_folders_are_refused(tmp_path, name):
    (tmp_path / "mail").write_text(f'curl -C - "{BUCKET}a{SIGNED}" --output {name}')
    with pytest.raises(ValueError, match="expected the name of a file after --output") as caught:
        read_mail(tmp_path / "mail")
    assert repr(name) in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_link_that_is_no_url_is_refused_without_showing_it(tmp_path):
    (tmp_path / "mail").write_text(f'curl -C - "https://h:x/a{SIGNED}" --output a.tar.xz')
    with pytest.raises(ValueError, match=r"the link of a\.tar\.xz: .*expected a URL") as caught:
        read_mail(tmp_path / "mail")
    assert "SECRET" not in str(caught.value)


def test_the_last_link_to_a_file_counts(tmp_path):
    newer = TEXT.replace("1700000000", "1800000000")
    (tmp_path / "mail").write_text(TEXT + newer)
    assert urls(tmp_path / "mail") == {name: url.replace("17", "18", 1) for name, url in LINKS.items()}


def test_one_name_for_two_files_is_refused(tmp_path):
    line = f'curl -C - "{BUCKET}{{}}/val.tar.xz{SIGNED}" --output val.tar.xz\n'
    (tmp_path / "mail").write_text(line.format("knee") + line.format("brain"))
    with pytest.raises(ValueError, match="expected one file for val") as caught:
        read_mail(tmp_path / "mail")
    assert f"got {BUCKET}knee/val.tar.xz and {BUCKET}brain/val.tar.xz" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_link_does_not_show_its_secrets():
    link = Link("a.tar.xz", f"{BUCKET}a.tar.xz{SIGNED}")
    assert "SECRET" not in f"{link} {link!r} {link.place}"
    assert link.place == f"{BUCKET}a.tar.xz"


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


def test_base64_is_that_of_the_text():
    """The mail in parts would also be read from its other part."""
    assert base64.b64encode(TEXT.encode())[:40] in multipart()
