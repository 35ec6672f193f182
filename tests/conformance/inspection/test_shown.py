"""What is shown is what was signed: signed mails that show more, less or something else, and honest ones of common programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailrelay.model.finding import Check, Verdict
from tests.conformance.inspection.conftest import AUTHOR, passes
from tests.inspection.conftest import Bench
from tests.inspection.papers import Identity
from tests.inspection.test_smime import BODY, block, detached, head, opaque

PAGE = "<html><head>%s</head><body><p>Kính gửi.</p>%s</body></html>"
Maker = Callable[[Identity], bytes]


def html(body: str = "", sheet: str = "") -> bytes:
    page = PAGE % (f"<style>{sheet}</style>" if sheet else "", body)
    return (
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + page.encode() + b"\r\n"
    )


def of(body: bytes) -> Maker:
    return lambda author: detached(body, block(author, body))


def styled(style: str) -> Maker:
    return of(html(f'<div style="{style}">Chuyển 9 triệu</div>'))


def sheet(rules: str) -> Maker:
    return of(html('<div class="a">Chuyển 9 triệu</div>', rules))


def tag(text: str) -> Maker:
    return of(html(text))


def changed(change: Callable[[bytes], bytes]) -> Maker:
    def make(author: Identity) -> bytes:
        raw = detached(BODY, block(author, BODY))
        forged = change(raw)
        assert forged != raw
        return forged

    return make


def inside(kind: bytes, *parts: bytes) -> Maker:
    """A signed entity of several parts."""
    body = b"".join(b"--ii\r\n" + part + b"\r\n" for part in parts)
    return of(b"Content-Type: " + kind + b"; boundary=ii\r\n\r\n" + body + b"--ii--\r\n")


def as_opaque(make: Callable[[], bytes]) -> Maker:
    return lambda author: opaque(block(author, make(), detached=False))


FAMILIES: dict[str, tuple[str, list[Maker]]] = {
    "words hidden by their style": (
        "hidden-text",
        [
            *(
                styled(style)
                for style in (
                    "display:none",
                    "DISPLAY : NONE !important",
                    "visibility:hidden",
                    "opacity:0",
                    "font-size:0",
                    "font-size:1px",
                    "font-size:0.0em;",
                    "mso-hide:all",
                    "text-indent:-9999px",
                    "position:absolute;left:-5000px",
                    "max-height:0;overflow:hidden",
                    "height:0;overflow:hidden",
                    "color:transparent",
                    "color:#fff;background:#FFF",
                    "color:white",
                    "clip-path:inset(100%)",
                    "transform:scale(0)",
                    "dis/**/play:none",
                    "d\\69splay:none",
                    "display&#58;none",
                    "filter:opacity(0)",
                    "zoom:0",
                    "font:0/0 a",
                    "opacity:1e-9",
                    "opacity:.01",
                    "left:calc(0px - 9999px)",
                    "color:rgba(0,0,0,0)",
                )
            ),
            as_opaque(lambda: html('<span style="display:none">x</span>')),
        ],
    ),
    "words hidden by a sheet": (
        "hidden-text",
        [
            sheet(".a{display:none}"),
            sheet("@media screen { .a { visibility: hidden } }"),
            sheet("div.a{font-size:0px;color:red}"),
            sheet(".a{color:#000;background-color:#000}"),
            sheet("/* x */ .a { opacity : 0.0 }"),
            sheet("<!-- .a { display:none } -->"),
            sheet("</stylex> .a { display:none }"),
            of(html("<!-- <style> --><style>.a{display:none}</style>")),
        ],
    ),
    "words hidden by a tag": (
        "hidden-text",
        [
            tag("<p hidden>x</p>"),
            tag('<div hidden="until-found">x</div>'),
            tag('<font size="0">x</font>'),
            tag("<p class=a hidden>x</p>"),
        ],
    ),
    "words hidden behind a border that is none": (
        "hidden-text",
        [
            tag("<!--><p hidden>Chuyển 9 triệu</p>-->"),
            tag("<!---><p hidden>Chuyển 9 triệu</p>-->"),
            tag("<!-- x --!><p hidden>Chuyển 9 triệu</p>-->"),
            tag("<p title=\n'>' style=display:none>Chuyển 9 triệu</p>"),
            tag("<p ' ><p style='display:none'>Chuyển 9 triệu</p><p style='color:red'>x</p><p '>"),
            tag("<b>" * 21_000 + "<p hidden>Chuyển 9 triệu</p>"),
            tag("<p style='display:none' style='color:red'>Chuyển 9 triệu</p>"),
        ],
    ),
    "words for one program": (
        "conditional-text",
        [
            tag("<!--[if mso]>Chuyển 9 triệu<![endif]-->"),
            tag("<!--[if gte mso 9]><p>Chuyển 9 triệu</p><![endif]-->"),
            tag("<!--[IF IE]>x<![endif]-->"),
            tag("<!--[if mso]>x"),
        ],
    ),
    "things from elsewhere": (
        "remote-content",
        [
            tag('<img src="https://evil.vn/a.png">'),
            tag("<img src='//evil.vn/a.png'>"),
            tag('<link rel="stylesheet" href="https://evil.vn/a.css">'),
            sheet("@import url(https://evil.vn/a.css);"),
            sheet(".a{background:url( 'http://evil.vn/a.png')}"),
            tag('<iframe src="cid:x"></iframe>'),
            tag('<table background="http://evil.vn/a.png"><tr><td>x</td></tr></table>'),
            tag('<svg><image href="https://evil.vn/a.png"/></svg>'),
            tag('<base href="https://evil.vn/">'),
            tag('<img alt=">" src="http://evil.vn/a.png">'),
        ],
    ),
    "text around the signed part": (
        "",
        [
            changed(lambda r: r.replace(b"--bb\r\n", b"Xin chuyen tien.\r\n" * 20 + b"--bb\r\n", 1)),
            changed(lambda r: r + b"Xin chuyen tien.\r\n"),
            changed(lambda r: r + b"\r\n\r\n--bb\r\n\r\nXin chuyen tien.\r\n--bb--\r\n"),
            changed(lambda r: r.replace(b"--bb--\r\n", b"--bb--\r\n<html>x</html>")),
        ],
    ),
    "two structures": (
        "",
        [
            changed(lambda r: r.replace(b"boundary=bb\r\n", b"boundary=bb\r\nContent-Type: text/plain\r\n", 1)),
            changed(lambda r: r.replace(b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n")),
            changed(lambda r: r.replace(b"MIME-Version: 1.0\r\n", b"Content-Transfer-Encoding: 7bit\r\n" * 2)),
            changed(lambda r: r.replace(b"--bb--\r\n", b"")),
        ],
    ),
    "two borders": (
        "ambiguous-structure",
        [
            changed(lambda r, b=more: r.replace(b"boundary=bb\r\n", b"boundary=bb; " + b + b"\r\n", 1))
            for more in (b"boundary=cc", b"Boundary=cc", b"boundary*=utf-8''cc", b"boundary*0=c; boundary*1=c")
        ],
    ),
    "a signature that is shown": (
        "two-structures",
        [
            changed(lambda r, k=kind: r.replace(b"application/pkcs7-signature; name=smime.p7s", k))
            for kind in (
                b"text/plain",
                b"text/html",
                b"application/octet-stream; name=a.exe",
                b"message/rfc822",
                b"image/png",
            )
        ],
    ),
    "parts that are not here": (
        "ambiguous-structure",
        [
            of(b"Content-Type: message/external-body; access-type=URL; URL=x\r\n\r\nx\r\n"),
            of(b"Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nx\r\n"),
            inside(b"multipart/mixed", BODY, b"Content-Type: message/external-body; access-type=URL\r\n\r\nx\r\n"),
            inside(
                b"multipart/mixed", BODY, b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\nx\r\n"
            ),
        ],
    ),
}


@pytest.mark.parametrize(
    ("family", "number"), [(f, n) for f, (_, mutants) in FAMILIES.items() for n in range(len(mutants))]
)
async def test_no_trick_passes(office: Bench, author: Identity, family: str, number: int) -> None:
    reason, mutants = FAMILIES[family]
    found = await office.examine(mutants[number](author))
    assert passes(found, Check.SMIME) == []
    told = [(one.verdict, one.detail) for one in found.of(Check.SMIME)]
    assert told, "nothing was said of the signature at all"
    if reason:
        assert told == [(Verdict.PARTIAL, "partial-body")]
        assert found.of(Check.SMIME)[0].facts["reason"] == reason


OUTLOOK = """<!--[if gte mso 9]><xml><o:OfficeDocumentSettings><w:View>Normal</w:View></o:OfficeDocumentSettings></xml>
<![endif]-->
<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}</style><![endif]-->
<style><!-- @font-face {font-family:"Cambria Math"; panose-1:2 4 5;}
 p.MsoNormal, li.MsoNormal {margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif;} a:link {color:#0563C1;
text-decoration:underline;} span.EmailStyle17 {mso-style-type:personal-compose; color:windowtext;}
@page WordSection1 {size:612.0pt 792.0pt;
margin:72.0pt 72.0pt 72.0pt 72.0pt;} div.WordSection1 {page:WordSection1;} --></style>"""
HONEST = {
    "Outlook": html('<div class="WordSection1"><p class="MsoNormal"><o:p>&nbsp;</o:p></p></div>').replace(
        b"</head>", OUTLOOK.encode() + b"</head>"
    ),
    "Gmail": html(
        '<div dir="ltr">Kính gửi<br clear="all"><div><br></div>-- <br><div class="gmail_signature">Lan</div></div>'
    ),
    "Thunderbird": html(
        '<pre class="moz-signature" cols="72">-- \nLan</pre><blockquote type="cite" cite="mid:a@b">x</blockquote>'
    ),
    "a table in colours": html(
        '<table border=0 style="width:100%;height:20px"><tr><td bgcolor="#003366" style="color:#fff">STC</td></tr></table>'
    ),
    "a picture inside": html('<img src="cid:logo@stc" width="0" height="0" alt="Sở Tài chính">'),
    "a link": html(
        '<a href="https://hoabinh.gov.vn/">Trang tin</a> <a style="margin:0;line-height:1.5;top:-1px">x</a>'
    ),
    "a heading": html('<h1 style="font:bold 14px/1.2 Arial;opacity:0.9;zoom:100%;color:rgba(0,0,0,.8)">Thông báo</h1>'),
    "a page of Word": html('<p style="margin-left:-18.0pt;text-indent:-18.0pt;font-size:10pt;max-width:600px">x</p>'),
}


@pytest.mark.parametrize("name", HONEST)
async def test_honest_mails_pass(office: Bench, author: Identity, name: str) -> None:
    body = HONEST[name]
    for raw in (detached(body, block(author, body)), opaque(block(author, body, detached=False))):
        (found,) = (await office.examine(raw)).of(Check.SMIME)
        assert (found.verdict, found.detail, found.facts.get("reason")) == (Verdict.PASS, "good", None)


async def test_alternatives_files_and_attached_mails_inside_the_signed_part_pass(
    office: Bench, author: Identity
) -> None:
    attached = b"Content-Type: message/rfc822\r\n\r\nFrom: x@y.vn\r\nSubject: x\r\n\r\nx\r\n"
    pdf = b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n"
    for make in (
        inside(b"multipart/alternative", BODY, html()),
        inside(b"multipart/mixed", BODY, pdf, attached),
        changed(lambda r: r.replace(b"--bb\r\n", b"This is an S/MIME signed message\r\n\r\n--bb\r\n", 1)),
        changed(lambda r: r + b"\r\n\r\n"),
    ):
        assert passes(await office.examine(make(author)), Check.SMIME)


async def test_unsigned_mails_are_not_asked(office: Bench) -> None:
    raw = head(AUTHOR) + html('<p style="display:none">x</p>')
    assert (await office.examine(raw)).of(Check.SMIME) == ()


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 8
    assert all(len(mutants) >= 4 for _, mutants in FAMILIES.values())
