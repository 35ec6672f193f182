"""The words in which commands tell of states, classes and actions: Vietnamese, English."""

from __future__ import annotations

from collections.abc import Mapping

from mailrelay.cli.output import say
from mailrelay.model.decision import Action
from mailrelay.model.dispatch import DispatchState
from mailrelay.model.document import MessageClass
from mailrelay.model.entry import EntryStatus
from mailrelay.model.message import MessageState
from mailrelay.model.receipt import ReceiptState
from mailrelay.model.rule import Text
from mailrelay.receipts import words

_STATES: Mapping[MessageState, tuple[str, str]] = {
    MessageState.PENDING: ("đã nhận, đang chờ kiểm tra", "received, waiting to be judged"),
    MessageState.HELD: ("đang tạm giữ chờ người duyệt", "held for a person"),
    MessageState.MOVING: ("đang chuyển", "on its way"),
    MessageState.DONE: ("xong", "done"),
    MessageState.RETURNED: ("không chuyển, đã báo người gửi", "not delivered, the sender was told"),
    MessageState.REJECTED: ("từ chối, không giữ lại", "refused, not kept"),
}
_CLASSES: Mapping[MessageClass, tuple[str, str]] = {
    MessageClass.DOCUMENT: ("văn bản vào sổ", "registered document"),
    MessageClass.EXCHANGE: ("văn bản trao đổi", "official, unnumbered"),
    MessageClass.LETTER: ("thư trao đổi", "letter"),
    MessageClass.RECEIPT: ("biên nhận", "receipt"),
}
_ACTIONS: Mapping[Action, tuple[str, str]] = {
    Action.RELAY: ("chuyển", "relay"),
    Action.HOLD: ("tạm giữ", "hold"),
    Action.RETURN: ("trả về người gửi", "return"),
    Action.REJECT: ("từ chối", "reject"),
}
_RECEIPTS: Mapping[ReceiptState, tuple[str, str]] = {
    ReceiptState.DUE: ("sắp gửi", "to be sent"),
    ReceiptState.QUEUED: ("đang gửi", "on its way"),
    ReceiptState.SENT: ("đã gửi", "sent"),
    ReceiptState.FAILED: ("không gửi được", "failed"),
    ReceiptState.SUPPRESSED: ("không gửi, tránh thư chạy vòng", "not sent, to avoid a loop"),
}


def spoken(text: Text) -> str:
    return say(text.vi, text.en)


def status_word(status: EntryStatus) -> str:
    return spoken(words.ENTRY_STATUSES[status])


def dispatch_word(state: DispatchState) -> str:
    return spoken(words.DISPATCH_STATES[state])


def state_word(state: MessageState) -> str:
    return say(*_STATES[state])


def class_word(message_class: MessageClass | None) -> str:
    return say(*_CLASSES[message_class]) if message_class else ""


def action_word(action: Action) -> str:
    return say(*_ACTIONS[action])


def receipt_state_word(state: ReceiptState) -> str:
    return say(*_RECEIPTS[state])
