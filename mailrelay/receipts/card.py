"""One notice as a card: outcome first, then what to do, then the facts. Rendered as plain text and as HTML; composes no mail."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from html import escape

from mailrelay.model.rule import Text


class Tone(StrEnum):
    """The colour of the band; the words always say the same, so that colour is never needed to understand."""

    GOOD = "#1b6e3c"
    NEWS = "#14508c"
    WAIT = "#8a5a00"
    BAD = "#a3201d"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with rows (label, value) or plain lines."""

    heading: str
    rows: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What a person sees. `badge` is repeated in the subject; English stands below, for receivers outside the province."""

    badge: str
    subject: str  # what follows the badge in the subject line
    title: str
    tone: Tone
    outcome: Text
    next_step: Text
    sections: tuple[Section, ...] = ()
    footer: tuple[str, ...] = ()
    english: bool = False
    details_en: tuple[str, ...] = field(default=())


def as_text(card: Card) -> str:
    """Plain text with LF line ends, about 76 columns where words allow."""
    blocks = [card.title.upper(), _wrap(card.outcome.vi)]
    if card.next_step.vi:
        blocks.append(_wrap(card.next_step.vi))
    for section in card.sections:
        rows = [_hang(f"{label}: {value}") for label, value in section.rows]
        lines = [_hang(f"- {text}") for text in section.lines]
        blocks.append("\n".join([f"{section.heading.upper()}", *rows, *lines]))
    if card.english:
        blocks.append("\n".join(["ENGLISH", *(_wrap(text) for text in _english(card))]))
    blocks.append("-- \n" + "\n".join(_wrap(text) for text in card.footer))
    return "\n\n".join(blocks) + "\n"


def _english(card: Card) -> list[str]:
    return [text for text in (card.outcome.en, card.next_step.en, *card.details_en) if text]


def _wrap(text: str, indent: str = "", width: int = 76) -> str:
    """Break at blanks only: addresses and numbers stay whole."""
    words = text.split()
    whole = " ".join(words)
    if len(whole) <= width:
        return whole
    lines: list[str] = []
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > width - (len(indent) if lines else 0):
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return f"\n{indent}".join([*lines, line])


def _hang(text: str) -> str:
    return "  " + _wrap(text, indent="    ", width=74)


_CELL = "vertical-align:top;font-size:14px;line-height:20px;word-wrap:break-word;overflow-wrap:anywhere"
_FONT = "font-family:'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"


def as_html(card: Card) -> str:
    """One table, 600 px wide, inline styles only; nothing is loaded from anywhere (Outlook draws with Word)."""
    rows = [
        _row(
            f'<span style="font-size:13px;font-weight:bold;letter-spacing:1px">{escape(card.badge)}</span><br>'
            f'<span style="font-size:20px;line-height:28px">{escape(card.title)}</span>',
            f"background:{card.tone.value};color:#ffffff;padding:16px 24px",
        ),
        _row(
            f'<b style="font-size:16px;line-height:24px">{escape(card.outcome.vi)}</b>'
            + (
                f'<br><span style="font-size:15px;line-height:24px">{escape(card.next_step.vi)}</span>'
                if card.next_step.vi
                else ""
            ),
            "padding:18px 24px 8px 24px;color:#1a1a1a",
        ),
        *(_section(section) for section in card.sections),
    ]
    if card.english:
        english = "<br>".join(escape(text) for text in _english(card))
        rows.append(
            _row(f'<span lang="en">{english}</span>', "padding:12px 24px;color:#1a1a1a;font-size:14px;line-height:20px")
        )
    rows.append(_row("&nbsp;", "font-size:8px;line-height:12px"))
    footer = "<br>".join(escape(text) for text in card.footer)
    rows.append(
        _row(
            footer,
            "padding:12px 24px 18px 24px;color:#555555;font-size:12px;line-height:18px;border-top:1px solid #d0d0d0",
        )
    )
    table = "\n".join(rows)
    return (
        '<!DOCTYPE html>\n<html lang="vi"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(card.title)}</title></head>\n"
        f'<body style="margin:0;padding:12px;background:#f2f2f2;{_FONT}">\n'
        '<table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0" align="center"'
        f' style="width:600px;max-width:100%;table-layout:fixed;background:#ffffff;border:1px solid #d0d0d0;{_FONT}">\n'
        '<colgroup><col width="186"><col width="414"></colgroup>\n'
        f"{table}\n</table>\n</body></html>\n"
    )


def _row(inner: str, style: str) -> str:
    return f'<tr><td colspan="2" style="{style};word-wrap:break-word;overflow-wrap:anywhere">{inner}</td></tr>'


def _section(section: Section) -> str:
    heading = _row(
        escape(section.heading),
        "padding:14px 24px 4px 24px;color:#14508c;font-size:13px;font-weight:bold;letter-spacing:.5px",
    )
    rows = [
        f'<tr><td width="150" style="padding:3px 12px 3px 24px;color:#555555;{_CELL}">{escape(label)}</td>'
        f'<td style="padding:3px 24px 3px 0;color:#1a1a1a;{_CELL}">{escape(value)}</td></tr>'
        for label, value in section.rows
    ]
    lines = [
        _row(f"&#8226; {escape(text)}", "padding:2px 24px;color:#1a1a1a;font-size:14px;line-height:20px")
        for text in section.lines
    ]
    return "\n".join([heading, *rows, *lines])
