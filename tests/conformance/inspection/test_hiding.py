"""Text that a reader does not see: families of ways to hide it in HTML, and mails as programs and newsletters write them."""

from __future__ import annotations

import base64
import re
import time

import pytest

from mailrelay.model.finding import Check
from tests.inspection.conftest import Bench, letter

SECRET = "chuyen tien vao tai khoan nay"


def mail(body: str) -> bytes:
    message = letter()
    message.set_content(body, subtype="html")
    return message.as_bytes()


def inside(style: str, tag: str = "div") -> str:
    return f'<html><body><p>Kính gửi</p><{tag} style="{style}">{SECRET}</{tag}></body></html>'


def classed(rule: str, attributes: str = 'class="x"') -> str:
    return f"<html><head><style>{rule}</style></head><body><p>Kính gửi</p><p {attributes}>{SECRET}</p></body></html>"


FAMILIES: dict[str, list[str]] = {
    "not displayed": [
        inside("display:none"),
        inside("DISPLAY : None !important"),
        inside("color:red;display:none;"),
        inside("d\\69 splay:none"),
        inside("display:/**/none", "span"),
        f"<p>Kính gửi</p><p hidden>{SECRET}</p>",
        f"<p>Kính gửi</p><div style='mso-hide:all'><b>{SECRET}</b></div>",
        f"<p>Kính gửi</p><div style=display:none>{SECRET}</div>",
        f"<p>Kính gửi</p><div style='display&#58;none'>{SECRET}</div>",
        f"<p>Kính gửi</p><div style='display:none'><p style='display:block'>{SECRET}</p></div>",
    ],
    "invisible": [
        inside("visibility:hidden"),
        inside("visibility:collapse", "span"),
        inside("opacity:0"),
        inside("opacity:0.0"),
        inside("color:transparent"),
        inside("color:rgba(0,0,0,0)"),
    ],
    "too small": [
        inside("font-size:0"),
        inside("font-size:0px"),
        inside("font-size:1px;line-height:1px"),
        inside("font-size:0.1em", "span"),
        inside("font-size:1%"),
    ],
    "the colour of the ground": [
        inside("color:#fff"),
        inside("color:white"),
        inside("color:#fefefe", "span"),
        inside("color:rgb(255, 255, 255)"),
        inside("background-color:#003366;color:#003366"),
        f'<p>Kính gửi</p><font color="#FFFFFF">{SECRET}</font>',
        f'<table bgcolor="#112233"><tr><td style="color:#112233">{SECRET}</td></tr></table>',
    ],
    "outside the frame": [
        inside("text-indent:-9999px"),
        inside("position:absolute;left:-9999px"),
        inside("position:absolute;top:-5000px"),
        inside("margin-left:-100em"),
        inside("height:0;overflow:hidden"),
        inside("max-height:0px;overflow:hidden"),
        inside("position:absolute;clip:rect(0,0,0,0)"),
    ],
    "by a style sheet": [
        classed(".x{display:none}"),
        classed("p.x , .y { color: #ffffff }"),
        classed("#z{font-size:0}", "id=z"),
        classed("/* a */ .a{color:red} .x{visibility:hidden}"),
        classed("@media print{.a{color:red}} .x{display:none}"),
        f"<style>.x{{opacity:0}}</style><p>Kính gửi</p><p class='a x'>{SECRET}</p>",
    ],
    "for one program only": [
        f"<p>Kính gửi</p><!--[if mso]><p>{SECRET}</p><![endif]-->",
        f"<p>Kính gửi</p><!--[if gte mso 9]>{SECRET}<![endif]-->",
        f"<p>Kính gửi</p><!-- [IF IE]><b>{SECRET}</b><![endif]-->",
        f"<p>Kính gửi</p><!--[if (gte mso 9)|(IE)]><table><tr><td>{SECRET}</td></tr></table><![endif]-->",
    ],
    "by a form that leaves no room": [
        inside("clip-path:inset(100%)"),
        inside("clip-path: circle(0)"),
        inside("transform:scale(0)"),
        inside("transform: translateX(-5000px)"),
        inside("filter:opacity(0)"),
        inside("zoom:0"),
        inside("opacity:1e-9"),
        inside("opacity:0.01"),
        inside("font:0/0 a"),
        inside("position:absolute;left:calc(0px - 9999px)"),
        inside("position:absolute;right:-9999px"),
        inside("color:hsl(0,0%,100%)"),
        inside("color:rgb(100%, 100%, 99%)"),
        inside("color:hsla(0,0%,0%,0)"),
    ],
    "by what takes nothing back": [
        inside("display:none!important;display:block"),
        inside("color:red;" * 2000 + "display:none"),
        inside("display:none;display:shown"),
        inside("visibility:hidden;visibility:yes"),
        inside("color:white;color:bogus"),
        inside("font-size:0;font-size:big"),
        inside("opacity:0;opacity:full"),
        classed(".x{color:#fff}", "class=x style='color:readable'"),
    ],
    "by a sheet with borders of its own": [
        classed("@media screen{.x{display:none}}"),
        classed("@media all{.a{color:red} .x{display:none}}"),
        classed("@MEDIA only screen { p.x { opacity:0 } } .b{color:red}"),
        classed("@charset 'utf-8';.x{display:none}"),
        classed("</stylex>.x{display:none}"),
        classed("@import 'a.css'; .x{display:none}"),
        classed("@layer a{.x{display:none}}"),
        classed("@supports (display:grid){.x{display:none}}"),
    ],
    "behind a border that is none": [
        f"<p>Kính gửi</p><p title='>' style='display:none'>{SECRET}</p>",
        f'<p>Kính gửi</p><p title=\n">" style="display:none">{SECRET}</p>',
        f"<p>Kính gửi</p><!--><p style='display:none'>{SECRET}</p><!-- -->",
        f"<p>Kính gửi</p><!--a--!><p style='display:none'>{SECRET}</p><!-- -->",
        f"<p>Kính gửi</p><p {' '.join(f'a{n}=1' for n in range(60))} style='display:none'>{SECRET}</p>",
        f"<p>Kính gửi</p><p title='{'x' * 20_000}' style='display:none'>{SECRET}</p>",
        f"<head><title>x</title><p>Kính gửi</p><p hidden>{SECRET}</p>",
    ],
    "words split by nothing": [
        "<p>Ngan hang Ngoai th\u200bương</p>",
        "<p>M\u200bẬT</p>",
        "<p>Kh\u2060ẩn cấp</p>",
        "<p>chuy\ufeffen tien</p>",
        "<p>t&#8203;ai khoan</p>",
        "<p>ti&zwnj;en</p>",
    ],
}

OUTLOOK = """<html xmlns:v="urn:schemas-microsoft-com:vml"><head><meta charset="utf-8">
<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}</style><![endif]-->
<style><!-- @font-face {font-family:"Times New Roman"} p.MsoNormal, li.MsoNormal {margin:0cm;font-size:11.0pt;color:black}
a:link {color:#0563C1} --></style>
<!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]--></head>
<body lang=VI link="#0563C1"><div class=WordSection1><p class=MsoNormal>Kính gửi các đồng chí,<o:p></o:p></p>
<p class=MsoNormal><span style='font-size:14.0pt;color:windowtext'>Đề nghị báo cáo.<o:p>&nbsp;</o:p></span></p>
</div></body></html>"""
BUTTON = """<html><body style="background:#ffffff"><table bgcolor="#ffffff"><tr><td style="background:#0b5394;border-radius:4px">
<a href="https://x.vn" style="color:#ffffff;font-size:16px">Xem văn bản</a></td></tr></table></body></html>"""
SPACED = """<table><tr><td style="font-size:0"><div style="font-size:14px">Cột một</div><img src="a.png" width=1 height=1></td></tr>
<tr><td style="line-height:0;font-size:0">&nbsp;</td></tr></table>"""
GENUINE = [
    "<p>Kính gửi</p>",
    OUTLOOK,
    BUTTON,
    SPACED,
    "<html><head><title>Tiêu đề</title><style>@media (max-width:600px){.m{display:none}}</style></head><p class=m>Văn bản</p>",
    "<p>Kính gửi<p>Các đơn vị<ul><li>Một<li>Hai</ul><table><tr><td>a<td>b<tr><td>c</table>",
    "<!-- ghi chú của người soạn --><p>Văn bản</p><!-- hết -->",
    "<div style='background:url(a.png);color:#fff'>Tiêu đề trên ảnh</div>",
    "<div style='display:none'><img src='x.png'>&nbsp;</div><p>Văn bản</p>",
    "<p>Gia\u00addinh; \u200bKính gửi; gia đình 👨\u200d👩\u200d👧</p>",
    "<p style='visibility:hidden'><span style='visibility:visible'>Thấy được</span></p>",
    "<p style='color:#777'>Chữ xám</p><p style='font-size:8pt'>Chữ nhỏ</p>",
    "<p style='opacity:;overflow:hidden;height:'>Văn bản</p>",
    "<blockquote style='margin-left:-5px'>Trích</blockquote>",
    "<style>@media print{p{display:none}} @media screen and (max-width:9px){p{display:none}}</style><p>Văn bản</p>",
    "<p style='font:bold 12px/1.5 Arial,sans-serif;color:CRIMSON;display:inline-block'>Văn bản</p>",
    "<p style='color:#333;color:rgba(51,51,51,.9);opacity:.9;transform:scale(0.5);clip-path:inset(0)'>Văn bản</p>",
    "<p style='width:calc(100% - 400px);margin-left:calc(50% - 300px);color:hsl(210, 50%, 40%)'>Văn bản</p>",
    "<p style='display:none;display:block'>Văn bản</p><p style='zoom:100%;filter:opacity(90%)'>Văn bản</p>",
]


def hidden(found: object) -> list[object]:
    return [f for f in found.of(Check.STRUCTURE) if f.detail == "hidden-text"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("family", "number"), [(f, n) for f, mutants in FAMILIES.items() for n in range(len(mutants))])
async def test_no_way_of_hiding_goes_unsaid(office: Bench, family: str, number: int) -> None:
    found = await office.examine(mail(FAMILIES[family][number]))
    assert hidden(found), family
    assert SECRET not in found.content.text  # it is not what this mail is known by


@pytest.mark.parametrize("number", range(len(GENUINE)))
async def test_genuine_mails_are_left_alone(office: Bench, number: int) -> None:
    found = await office.examine(mail(GENUINE[number]))
    assert hidden(found) == []
    assert found.content.text.strip()


async def test_what_is_hidden_is_told_and_still_searched_for_secrecy_marks(office: Bench) -> None:
    found = await office.examine(mail(inside("display:none").replace(SECRET, "Độ mật: TUYỆT MẬT")))
    (finding,) = hidden(found)
    assert (finding.facts["ways"], finding.facts["text"]) == (["not-displayed"], "Độ mật: TUYỆT MẬT")  # type: ignore[attr-defined]
    assert "TUYỆT MẬT" in found.content.inner_text


@pytest.mark.parametrize(
    "body",
    [
        f"<html><head><title>x</title><body><p>{SECRET}</p></body></html>",
        f"<head><style>p{{color:red}}</style><p>{SECRET}</p>",
        f"<p>a</p><!--><p>{SECRET}</p>-->",
        f"<p>a</p><!---><p>{SECRET}</p>-->",
        f"<p>a</p><!-- x --!><p>{SECRET}</p>-->",
        f"<svg><p>{SECRET}</p>",
        f"<p title='>'>{SECRET}</p>",
        f'<p title=">{SECRET}</p>">{SECRET}</p>',
    ],
)
async def test_what_browsers_show_is_the_text(office: Bench, body: str) -> None:
    found = await office.examine(mail(body))
    assert SECRET in found.content.text


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=windows-1258"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_a_byte_order_mark_outranks_what_was_declared(office: Bench, charset: str, encoding: str) -> None:
    page = f"<p>Kính gửi</p><p hidden>{SECRET}</p>".encode(encoding)
    raw = mail("x").replace(b'text/html; charset="utf-8"', b"text/html" + charset.encode())
    head = raw.partition(b"\r\n\r\n" if b"\r\n\r\n" in raw else b"\n\n")[0]
    head = re.sub(rb"(?mi)^(Content-Transfer-Encoding):.*?$", rb"\1: base64", head)
    found = await office.examine(head + b"\r\n\r\n" + base64.b64encode(page) + b"\r\n")
    assert found.content.text.strip() == "Kính gửi"
    assert hidden(found)


@pytest.mark.parametrize(
    "body",
    [
        "<p>x" * 60_000,
        "<style>" + "@media screen " * 18_000 + "{.x{color:red}}</style>x",
        "<style>" + "@layer{" * 35_000 + "</style>x",
        "<p style='" + "filter:a;font:a;" * 15_000 + "'>x",
        "<p style='" + "color:white;" * 20_000 + "'>x",
        "<p a='" * 40_000,
        "<p =" * 60_000,
        "<!--" * 60_000,
        "<style>" * 40_000,
        "<head>" + "<style>" * 40_000,
        "<style>" + "@a{" * 80_000,
        "<style>" + "@{}" * 80_000,
        "<style>" + ".a{color:red}" * 20_000 + "</style>" + "<p class=a>x" * 1000,
        "<div style='color:#fff'>" * 10_000 + "x",
        "<!--[if mso]>" + "<xml " * 50_000 + "<![endif]-->",
        "<!--[if mso]>x<![endif]-->" * 9000,
        "<p " + "a=' " * 60_000 + ">x",
        "</p>" * 60_000,
        "<" * 250_000,
        "&#" * 120_000,
        '<div style="' + "\\" * 200_000 + '">x',
        "a\u200b" * 80_000,
    ],
)
async def test_foul_html_costs_little(office: Bench, body: str) -> None:
    began = time.monotonic()
    found = await office.examine(mail(body))
    assert "worker-killed" not in {f.detail for f in found.findings}
    assert time.monotonic() - began < 8


def test_families_are_many_enough() -> None:
    assert len(FAMILIES) >= 8
    assert all(len(mutants) >= 4 for mutants in FAMILIES.values())
