"""`explain`: the live engine on a mail file, without delivering or writing anything."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from mailrelay import telemetry
from mailrelay.cli import life
from mailrelay.cli.office import load
from mailrelay.cli.output import fail, print_json, print_line, say
from mailrelay.config.office import Office
from mailrelay.config.setting import MIB
from mailrelay.daemon.rooms import build_inspector
from mailrelay.model.calendar import utc_now
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.model.identity import make_mail_id
from mailrelay.model.message import Message
from mailrelay.pipeline.judgement import Judgement, examine_and_judge
from mailrelay.reports.trace import Life, shape


def explain(
    config: Path | None, file: Path, sender: str, recipients: list[str], login: str | None, *, as_json: bool
) -> int:
    """Exit 0 whatever the judgement is, 1 when the file cannot be read or is too big for any door.

    With --login it is a submission, else port 25.
    """
    telemetry.configure("error", as_json=False)
    office = load(config)
    limit = office.settings.limits.message_size
    try:
        with file.open("rb") as opened:
            raw = opened.read(limit + 1)
    except OSError as error:
        fail(say(f"Không đọc được {file}: {error.strerror}", f"cannot read {file}: {error.strerror}"))
    if len(raw) > limit:
        size = f"{limit / MIB:g} MiB"
        fail(say(f"Thư lớn hơn mức cho phép ({size}).", f"the mail is larger than the limit ({size})"))
    door = Door.SUBMISSION if login else Door.MX
    envelope = Envelope(sender, tuple(Recipient(to) for to in recipients), Origin(door, peer="127.0.0.1", login=login))
    now = utc_now()
    mail_id = make_mail_id(int(now.timestamp() * 1000), os.urandom(10))
    message = Message(mail_id, envelope, hashlib.sha256(raw).hexdigest(), len(raw), now)
    judgement = asyncio.run(_judge(message, file.resolve(), office))
    told = Life(judgement.record)
    if as_json:
        print_json(shape(told))
        return 0
    print_line(say("Xem trước, không chuyển gì cả.", "Dry run: nothing is delivered."), "bold")
    life.show(told, office.directory)
    return 0


async def _judge(message: Message, path: Path, office: Office) -> Judgement:
    inspector = build_inspector(office.settings)
    await inspector.start()
    try:
        return await examine_and_judge(message, path, office, inspector)
    finally:
        await inspector.close()
