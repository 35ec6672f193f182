"""The answer that a door gets for one mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailrelay.model.identity import MailId


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Taken (`refusal` is "") or refused by a name of the refusal table.

    `values` fill the refusal's sentences (file name, agency, …). `repeated` marks a re-sent mail that caused no new dispatch.
    """

    mail_id: MailId | None
    refusal: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    repeated: bool = False
    pending: bool = False
