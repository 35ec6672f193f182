"""The SMTP door alone, as a process: it writes what comes into spool files and answers 250 at once. Prints its port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mailrelay import telemetry
from mailrelay.config.directory import load_directory
from mailrelay.config.sample import shipped_dir
from mailrelay.intake.smtp.desk import DraftLike
from mailrelay.intake.smtp.door import Listener, SmtpDoor
from mailrelay.intake.smtp.limits import Limits
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.calendar import utc_now
from mailrelay.model.envelope import Door, Envelope
from mailrelay.spool import Spool


async def _refused(login: str, password: str) -> bool:
    return False


async def _taken(envelope: Envelope, draft: DraftLike) -> Acceptance:
    draft.finish()
    draft.discard()
    return Acceptance(draft.mail_id)


async def serve(folder: Path) -> None:
    telemetry.configure("warning")
    directory = load_directory(shipped_dir())
    door = SmtpDoor(
        (Listener(Door.MX),),
        hostname="mail.example",
        directory=lambda: directory,
        draft=Spool(folder, now=utc_now).draft,
        accept=_taken,
        check_password=_refused,
        limits=Limits(size=100 << 20),
    )
    bound = await door.start()
    print(bound[Door.MX][0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
