"""What the demo shows: a live table of the scenario, the counts, and how to look further."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from rich.live import Live
from rich.table import Table
from rich.text import Text

from mailrelay.cli import words
from mailrelay.cli.demo.scenario import Piece, Sent
from mailrelay.cli.demo.stage import Stage
from mailrelay.cli.output import console, harmless, print_line, say
from mailrelay.model.dispatch import DispatchState
from mailrelay.reports.trace import Life


class Screen:
    """The table of the scenario; `hidden` shows nothing (JSON output)."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._sending: Piece | None = None

    def sending(self, piece: Piece) -> None:
        self._sending = piece

    def update(self, sent: Sequence[Sent], lives: Sequence[Life | None]) -> None:
        if self._live is not None:
            self._live.update(_table(sent, lives))


@contextmanager
def live(*, hidden: bool) -> Iterator[Screen]:
    if hidden:
        yield Screen(None)
        return
    with Live(console=console(), refresh_per_second=8, transient=False) as display:
        yield Screen(display)


def _table(sent: Sequence[Sent], lives: Sequence[Life | None]) -> Table:
    table = Table(title=say("Một ngày ở tỉnh Hòa Bình", "A day in Hòa Bình province"), title_justify="left")
    for column in say(
        "Thư|Trả lời|Loại|Kết quả|Đã đến|Sổ đến (số / chờ)|Biên nhận",
        "Mail|Reply|Class|Outcome|Arrived|Incoming (no / waiting)|Receipts",
    ).split("|"):
        table.add_column(column, overflow="fold")
    for one, life in zip(sent, lives, strict=False):
        table.add_row(*(Text(harmless(cell)) for cell in _row(one, life)))
    return table


def _row(one: Sent, life: Life | None) -> tuple[str, ...]:
    reply = str(one.code)
    if life is None:
        return (one.piece.title, reply, "", "", "", "", "")
    arrived = sum(d.state in (DispatchState.DELIVERED, DispatchState.RELAYED) for d in life.dispatches)
    incoming = [entry for entry in life.entries if entry.book.value == "incoming"]
    numbered = sum(entry.seq is not None for entry in incoming)
    return (
        one.piece.title,
        reply,
        words.class_word(life.record.message_class),
        words.state_word(life.record.state),
        f"{arrived}/{len(life.dispatches)}" if life.dispatches else "",
        f"{numbered} / {len(incoming) - numbered}" if incoming else "",
        str(len(life.receipts)) if life.receipts else "",
    )


def summary(counts: Mapping[str, int], problems: Sequence[str], place: Path, lives: Sequence[Life | None]) -> None:
    labels = {
        "sent": say("đã gửi", "sent"),
        "accepted": say("được nhận", "accepted"),
        "document": say("văn bản", "documents"),
        "exchange": say("trao đổi", "exchanges"),
        "letter": say("thư riêng", "letters"),
        "delivered": say("đã chuyển", "delivered"),
        "held": say("tạm giữ", "held"),
        "returned": say("trả về", "returned"),
        "rejected": say("từ chối", "rejected"),
        "receipts": say("biên nhận", "receipts"),
        "lost": say("thất lạc", "lost"),
    }
    print_line()
    print_line("   ".join(f"{labels[name]}: {number}" for name, number in counts.items()), "bold")
    for problem in problems:
        print_line(f"✖ {problem}", "red")
    if not problems:
        print_line(say("✔ Mọi thư đều có kết quả đúng như quy định.", "✔ Every mail had its named outcome."), "green")
    first = next((life for life in lives if life is not None), None)
    print_line()
    print_line(say("Xem tiếp:", "Look further:"), "bold")
    command = _command()
    if first is not None:
        print_line(f"  {command} trace {first.record.message.mail_id} --config {place}")
    for question in ("register list --agency STC", 'log search "kế hoạch 59"', "queue list"):
        print_line(f"  {command} {question} --config {place}")


def _command() -> str:
    """What to type for our command: its name where the shell finds it, else the path by which it was called."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "mailrelay" and which("mailrelay") is None else "mailrelay"


def invitation(listeners: Mapping[str, str], built: Stage, place: Path) -> None:
    """How to use the office with an own mail client while it serves."""
    print_line()
    print_line(say("Cơ quan mẫu đang chạy. Nhấn Ctrl-C để dừng.", "The office is serving. Ctrl-C stops it."), "bold")
    for name, address in listeners.items():
        print_line(f"  {name:12} {address}")
    print_line(say(f"  tài khoản     {built.example_login}", f"  login        {built.example_login}"))
    print_line(say(f"  mật khẩu      xem {built.password_file}", f"  password     see {built.password_file}"))
    print_line(say(f"  hộp thư       {place}/data/maildir", f"  mailboxes    {place}/data/maildir"))
