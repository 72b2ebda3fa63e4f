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

from mrilib.data.downloads.mail import Link, read_mail
from mrilib.data.downloads.manifest import read_manifest

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
    "curl.exe": TEXT.replace("curl -C", "curl.exe -C"),
    "other options": TEXT.replace("curl -C -", "curl -x http://proxy.org:3128 -L --retry 5 -C -"),
    "options in one": TEXT.replace("--output ", "-fsSLo "),
    "name of the URL": re.sub("--output .*", "-O", TEXT),
    "name of the URL first": re.sub(" --output .*", "", TEXT).replace("curl -C", "curl -LO -C"),
    "remote name": re.sub("--output .*", "--remote-name", TEXT),
    "wget": TEXT.replace("curl -C -", "wget -c").replace("--output ", "-O "),
    "wget in one": TEXT.replace("curl -C -", "wget").replace("--output ", "-cO "),
    "wget, long": TEXT.replace("curl -C -", "wget").replace("--output ", "--output-document="),
    "wget by itself": re.sub(" --output .*", "", TEXT).replace("curl -C -", "wget -c --tries=5"),
    "code": TEXT.replace("curl -C", "`curl -C").replace("xz\n", "xz`\n").replace("gz\n", "gz`.\n"),
    "sentence": TEXT.replace("xz\n", "xz, or\n").replace("gz\n", "gz.\n"),
    "commands": TEXT.replace("xz\n", "xz; ").replace("gz\n", "gz;\n"),
    "chained": TEXT.replace("xz\n", "xz && ").replace("gz\n", "gz|| exit\n"),
    "bold": TEXT.replace("--output ", "--output **").replace("xz\n", "xz**\n").replace("gz\n", "gz**\n"),
    "escaped": TEXT.replace('"', "").replace("?", "\\?").replace("&", "\\&").replace("=", "\\="),
    "Unix, over lines": TEXT.replace(" -C - ", " \\\n-C - \\\n").replace("--output ", "\\\n--output \\\n"),
    "cmd, over lines": TEXT.replace(" -C - ", " ^\n-C - ^\n").replace("--output ", "^\n  --output ^\n"),
    "cmd, escaped": TEXT.replace("&", "^&").replace('"', '^"'),
    "PowerShell, over lines": TEXT.replace(" -C - ", " `\n-C - `\n").replace(
        "--output ", "`\n  --output `\n"
    ),
    "angle brackets": TEXT.replace(' "', " <").replace('" ', "> "),
    "doubled": re.sub(r'"(.*)"', r'"\1"<\1>', TEXT),
    "a quote is lost": TEXT.replace('" --output', " --output"),
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


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-8", "latin-1"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_mail_is_read_in_any_encoding(tmp_path, encoding, end):
    text = "Grüße\n" + (TEXT if encoding == "latin-1" else FORMS["curly quotes"])
    (tmp_path / "mail").write_bytes(text.replace("\n", end).encode(encoding))
    assert urls(tmp_path / "mail") == LINKS


def test_a_mail_in_two_encodings_is_read(tmp_path):
    (tmp_path / "mail").write_bytes("Grüße\n".encode("cp1252") + FORMS["curly quotes"].encode())
    assert urls(tmp_path / "mail") == LINKS


def test_a_part_of_a_mail_is_read_in_its_charset(tmp_path):
    message = EmailMessage()
    message.set_content(FORMS["curly quotes"], charset="windows-1252", cte="8bit")
    (tmp_path / "mail").write_bytes(message.as_bytes())
    assert urls(tmp_path / "mail") == LINKS
    utf16 = message.as_bytes().decode("cp1252").replace("windows-1252", "utf-8").encode("utf-16")
    (tmp_path / "mail").write_bytes(utf16)
    assert urls(tmp_path / "mail") == LINKS
    unknown = message.as_bytes().replace(b"windows-1252", b"x-unknown")
    (tmp_path / "mail").write_bytes(unknown)
    assert urls(tmp_path / "mail") == LINKS


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"knee val.tar.xz"', "knee val.tar.xz"),
        ("'knee val.tar.xz'", "knee val.tar.xz"),
        ("“John’s knee.tar.xz”", "John’s knee.tar.xz"),
        ('"knee\n  val.tar.xz"', "knee val.tar.xz"),
        ('"knee.tar.xz', "knee.tar.xz"),
        ("knee.tar.xz?", "knee.tar.xz"),
        ("(knee.tar.xz)", "knee.tar.xz"),
        ("`knee.tar.xz`", "knee.tar.xz"),
    ],
)
def test_a_quoted_name_is_taken_whole_and_another_up_to_its_end(tmp_path, written, name):
    opened = "(" if written[0] == "(" else ""
    (tmp_path / "mail").write_text(f'{opened}curl -C - "{BUCKET}a{SIGNED}" --output {written.lstrip("(")}\n')
    assert urls(tmp_path / "mail") == {name: f"{BUCKET}a{SIGNED}"}


def test_what_a_program_writes_beside_the_file_is_not_its_name(tmp_path):
    url = f"{BUCKET}knee.tar.xz{SIGNED}"
    (tmp_path / "mail").write_text(f'wget -o log.txt "{url}" -O val.tar.xz\n')
    assert urls(tmp_path / "mail") == {"val.tar.xz": url}


def test_several_files_in_one_command_are_refused(tmp_path):
    first, second = LINKS[NAMES[0]], LINKS[NAMES[1]]
    for text in (f'curl -O "{first}" -O "{second}"', f"curl -o a {first} -o b {second}"):
        (tmp_path / "mail").write_text(text)
        with pytest.raises(ValueError, match="expected one file in a command, got 2 in one line") as caught:
            read_mail(tmp_path / "mail")
        assert "SECRET" not in str(caught.value)


def test_sentences_about_programs_are_passed_over(tmp_path):
    prose = "Use wget or curl -O, see https://curl.se/ or https://fastmri.med.nyu.edu/.\n"
    (tmp_path / "mail").write_text(prose + TEXT)
    assert urls(tmp_path / "mail") == LINKS


names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.%+-]{0,30}\.tar\.(xz|gz)", fullmatch=True)
# what stands in signed links: the identifier of a key begins with AKIA, and `'` and quotes are encoded
texts = st.text("abzABZ019-._~%/+=&", max_size=90)
folders = st.from_regex(r"(/[a-z0-9._-]{1,12}){0,3}", fullmatch=True)
fillings = st.sampled_from(
    ["", "Dear user,\n", "\n\nKnee:\n", "use curl, or a browser\n", "-- \nNYU <a@b.org>\n"]
)


PROGRAMS = [
    (curl, option)
    for curl in ("curl -C -", "curl.exe -L -C -", "$ curl -fS")
    for option in ("--output ", "-o ", "--output=", "—output ", "-Lo ")
] + [(wget, option) for wget in ("wget -c", "wget") for option in ("-O ", "--output-document=", "-cO ")]


@st.composite
def mails(draw):
    links = {
        name: f"https://bucket.s3.amazonaws.com{draw(folders)}/{name}?AWSAccessKeyId=AKIA{draw(texts)}"
        for name in draw(st.lists(names, min_size=1, max_size=4, unique=True))
    }
    quote = draw(st.sampled_from(['""', "''", "“”", "„“", "«»"]))
    curl, option = draw(st.sampled_from(PROGRAMS))
    marks = draw(st.sampled_from(['""', "''", "“”", "", " ;", " ,", " .", " `", " |", " )", " **", " `;"]))
    goes_on = draw(st.sampled_from([" ", " \\\n", " ^\n  ", " `\n ", "\n"]))
    lines = [
        f"{draw(fillings)}{curl}{goes_on}{quote[0]}{url}{quote[1]}{goes_on}{option}"
        f"{marks[:1].strip()}{name}{marks[1:]}"
        for name, url in links.items()
    ]
    text = "\n".join(lines) + "\n"
    if draw(st.booleans()):
        text = quopri.encodestring(text.encode()).decode()
    elif draw(st.booleans()):
        text = text.replace("&", "&amp;")
    if draw(st.booleans()):
        text = textwrap.indent(text, "> ", lambda _: True)
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return links, text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])))


@settings(deadline=None)
@given(mails())
def test_links_come_back_as_they_were(tmp_path_factory, drawn):
    links, content = drawn
    path = tmp_path_factory.getbasetemp() / "drawn-mail"
    path.write_bytes(content)
    assert urls(path) == links


COMMANDS = [
    "curl ",
    "wget ",
    "-O",
    "-C - ",
    '"',
    "“",
    "https://",
    "http://h/a?b=3D",
    " --output ",
    "-o",
    "a.tar.xz",
    "../",
]
MARKS = [
    "`",
    ";",
    "^\n",
    "\\\n",
    "SHA256 (",
    ") = ",
    "Hash : ",
    "=\n",
    "\n",
    "\r\n",
    "> ",
    "<",
    ">",
    "<br>",
    "&amp;",
    "&#0;",
    "0" * 64,
    " *",
    "é",
]
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


def test_base64_is_that_of_the_text():
    """The mail in parts would also be read from its other part."""
    assert base64.b64encode(TEXT.encode())[:40] in multipart()
