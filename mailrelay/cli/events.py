"""The document log for a person's eyes: what an event is called, and its particulars in words instead of field names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailrelay.cli.output import say
from mailrelay.cli.words import action_word, class_word, spoken, state_word
from mailrelay.model.decision import Action
from mailrelay.model.document import MessageClass
from mailrelay.model.entry import Book, EventKind, LogEvent
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptKind
from mailrelay.receipts.words import KINDS

_EVENTS: Mapping[EventKind, tuple[str, str]] = {
    EventKind.RECEIVED: ("tiếp nhận thư", "received"),
    EventKind.REFUSED: ("từ chối", "refused"),
    EventKind.JUDGED: ("xét", "judged"),
    EventKind.REGISTERED: ("ghi sổ", "registered"),
    EventKind.REPEATED: ("thư gửi lặp", "repeated"),
    EventKind.HELD: ("tạm giữ", "held"),
    EventKind.RELEASED: ("cho đi tiếp", "released"),
    EventKind.RETURNED: ("trả lại", "returned"),
    EventKind.DELIVERED: ("đã vào hộp thư", "delivered"),
    EventKind.RELAYED: ("đã chuyển ra ngoài", "relayed"),
    EventKind.DEFERRED: ("tạm hoãn", "deferred"),
    EventKind.FAILED: ("không chuyển được", "failed"),
    EventKind.WITHDRAWN: ("đã rút", "withdrawn"),
    EventKind.ACCEPTED: ("đã vào sổ đến", "accepted"),
    EventKind.RECEIPT: ("gửi biên nhận", "receipt"),
    EventKind.CONFIGURED: ("đổi cấu hình", "configured"),
}

_NAMES: Mapping[str, tuple[str, str]] = {
    "action": ("việc", "action"),
    "book": ("sổ", "book"),
    "class": ("loại", "class"),
    "code": ("mã trả lời", "reply"),
    "directory": ("danh bạ (SHA-256)", "directory (SHA-256)"),
    "dispatch": ("lượt chuyển", "dispatch"),
    "dispatches": ("lượt chuyển", "dispatches"),
    "door": ("cổng", "door"),
    "entry": ("mục", "entry"),
    "kind": ("loại", "kind"),
    "notice": ("mã thư của biên nhận", "mail id of the notice"),
    "reason": ("lý do", "reason"),
    "recipients": ("số nơi nhận", "recipients"),
    "refusal": ("câu từ chối", "refusal"),
    "remote": ("máy nhận", "next hop"),
    "rulebook": ("bộ quy tắc (SHA-256)", "rule book (SHA-256)"),
    "rules": ("quy tắc", "rules"),
    "seq": ("số", "number"),
    "sha256": ("SHA-256", "SHA-256"),
    "size": ("byte", "bytes"),
    "state": ("tình trạng", "state"),
    "status": ("trạng thái", "status"),
    "tls": ("TLS", "TLS"),
    "uncertain": ("không chắc đã nhận", "outcome uncertain"),
    "year": ("năm", "year"),
}
_VALUES: Mapping[str, Callable[[Any], str]] = {
    "action": lambda value: action_word(Action(value)),
    "book": lambda value: say("đi", "outgoing") if value == Book.OUTGOING else say("đến", "incoming"),
    "class": lambda value: class_word(MessageClass(value)),
    "kind": lambda value: spoken(KINDS[ReceiptKind(value)]),
    "state": lambda value: state_word(MessageState(value)),
}
_DIGESTS = frozenset({"sha256", "rulebook", "directory"})  # 64 letters that nobody reads in a list


def event_word(kind: EventKind) -> str:
    return say(*_EVENTS[kind])


def particulars(event: LogEvent) -> list[tuple[str, str]]:
    """(name, value) of everything that an event tells, in words; empty things are left out."""
    return [
        (_name(key), _value(key, value)) for key, value in event.detail.items() if value not in ("", None, False, 0, [])
    ]


def summary(event: LogEvent) -> str:
    """The particulars of an event on one line, without digests."""
    told = [
        f"{_name(key)}: {_value(key, value)}"
        for key, value in event.detail.items()
        if key not in _DIGESTS and value not in ("", None, False, 0, [])
    ]
    return "; ".join(told)


def _name(key: str) -> str:
    return say(*_NAMES[key]) if key in _NAMES else key


def _value(key: str, value: Any) -> str:
    try:
        return _VALUES[key](value) if key in _VALUES else _plain(value)
    except (KeyError, ValueError):  # a word of a newer version
        return _plain(value)


def _plain(value: Any) -> str:
    if value is True:
        return say("có", "yes")
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
