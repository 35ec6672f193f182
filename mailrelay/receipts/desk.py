"""What every notice shows of the office: whom to ask, and the lines at its foot. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mailrelay.receipts.facts import Facts


@dataclass(frozen=True, slots=True)
class Desk:
    """What every notice needs to know of the office: who to ask, and whether answers to slips are acted upon."""

    contact: str
    takes_answers: bool = False


def footer(facts: Facts, desk: Desk) -> tuple[str, ...]:
    return (
        f"Mã thư: {facts['mail']['mail_id']} · Hỗ trợ: {desk.contact}",
        "Tệp bien-nhan.json là dữ liệu của thông báo này; tệp .p7s là chữ ký của hệ thống trên dữ liệu đó (không phải chữ ký số"
        " chuyên dùng), xác nhận việc chuyển thư, không thay cho chữ ký số trên văn bản.",
    )
