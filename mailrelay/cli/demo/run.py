"""`mailrelay demo`: build the office, run its service, send the scenario, recount, and keep serving."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import ssl
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from mailrelay import telemetry
from mailrelay.cli.demo import outside, recount, scenario, stage, table
from mailrelay.cli.demo.scenario import Piece, Sent
from mailrelay.cli.output import fail, print_json, print_line, say
from mailrelay.config.office import Office, load_office
from mailrelay.config.settings_file import bears_password
from mailrelay.daemon import Daemon
from mailrelay.model.calendar import utc_now
from mailrelay.model.entry import Book, EntryStatus
from mailrelay.model.faults import ConfigFault, Fault
from mailrelay.model.message import MessageState
from mailrelay.reports.trace import Life, life_of, shape
from mailrelay.store import messages
from mailrelay.store.transaction import Transaction

_PATIENCE = timedelta(seconds=120)


def demonstrate(folder: Path | None, *, once: bool, as_json: bool, store: str = "") -> int:
    """Exit 0 when every mail had its named outcome and nothing was lost, else 1. `store` "": SQLite in the folder."""
    if bears_password(store):
        fail(
            say("Không ghi mật khẩu vào địa chỉ kho; hãy dùng ~/.pgpass.", "no password in the address; use ~/.pgpass"),
            2,
        )
    place = folder or Path(tempfile.mkdtemp(prefix="mailrelay-"))
    telemetry.configure("warning" if as_json or not once else "error", as_json=False)
    try:
        return asyncio.run(_demonstrate(place.resolve(), store, once=once, as_json=as_json))
    except ConfigFault as fault:
        fail(fault.diagnostics())
    except Fault as fault:
        fail(fault.diagnostics())
    except OSError as error:
        fail(say(f"Không dựng được cơ quan mẫu ở {place}: {error}", f"cannot build the office in {place}: {error}"))


async def _demonstrate(place: Path, store: str, *, once: bool, as_json: bool) -> int:
    ministry_key = stage.make_ministry_key()
    transport, port = await outside.start_name_server(outside.ministry_records(ministry_key))
    try:
        built = await asyncio.to_thread(stage.build, place, port, store)
        office = load_office(place)
        daemon = Daemon(office)
        serving = asyncio.create_task(daemon.run(), name="daemon")
        ready = asyncio.create_task(daemon.ready.wait())
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            ready.cancel()
            await serving
        try:
            play = _Play(office, daemon, built, place)
            code = await play.perform(ministry_key, as_json=as_json)
            if not once:
                await _keep_serving(serving, built, daemon, place, as_json=as_json)
        finally:
            daemon.stop()
            await serving
        return code
    finally:
        transport.close()


class _Play:
    """One performance of the scenario."""

    def __init__(self, office: Office, daemon: Daemon, built: stage.Stage, place: Path) -> None:
        self._office = office
        self._daemon = daemon
        self._built = built
        self._place = place
        self._sent: list[Sent] = []

    async def perform(self, ministry_key: Any, *, as_json: bool) -> int:
        now = utc_now()
        cast = stage.cast(self._office.directory)
        pieces = await scenario.pieces(cast, self._built.person, self._built.agency, now)
        pieces.append(stage.ministry_piece(cast, ministry_key, now))
        trust = ssl.create_default_context(cafile=str(self._built.authority))
        with table.live(hidden=as_json) as screen:
            for piece in pieces:
                screen.sending(piece)
                self._sent.append(await asyncio.to_thread(self._send, piece, trust))
                screen.update(self._sent, await self._lives())
            await self._settle(screen)
            await self._clerks_work()
            await self._settle(screen)
            lives = await self._lives()
            screen.update(self._sent, lives)
        counts, problems = self._recount(pieces, lives)
        if as_json:
            listeners = {"mx": "", "submission": "", "submissions": "", "console": None, **self._daemon.listeners}
            mails = [shape(life) for life in lives if life is not None]
            print_json({"listeners": listeners, "config": str(self._place), "counts": counts, "mails": mails})
        else:
            table.summary(counts, problems, self._place, lives)
        return 1 if problems or counts["lost"] else 0

    def _send(self, piece: Piece, trust: ssl.SSLContext) -> Sent:
        listeners = self._daemon.listeners
        mx, submission = _endpoint(listeners["mx"]), _endpoint(listeners["submission"])
        return scenario.send(piece, mx, submission, self._built.password, trust)

    async def _lives(self) -> list[Life | None]:
        store = self._daemon.store
        assert store is not None
        digests = [hashlib.sha256(sent.piece.raw).hexdigest() for sent in self._sent]

        def look(tx: Transaction) -> list[Life | None]:
            found = [messages.find(tx, sha256=digest) for digest in digests]
            return [life_of(tx, ids[-1]) if ids else None for ids in found]

        return await store.read(look)

    async def _settle(self, screen: table.Screen) -> None:
        """Wait until nothing moves: every mail final and every notice on its way delivered."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE.total_seconds()
        while asyncio.get_running_loop().time() < deadline:
            lives = await self._lives()
            screen.update(self._sent, lives)
            moving = {MessageState.MOVING, MessageState.PENDING}
            waiting = any(
                life is not None
                and (life.record.state in moving or any(r.state.value in ("due", "queued") for r in life.receipts))
                for life in lives
            )
            if not waiting:
                return
            await asyncio.sleep(0.1)

    async def _clerks_work(self) -> None:
        """Two văn thư look into their book: Sở Tài chính accepts the plan, Sở KHĐT returns it with a reason."""
        desk = self._daemon.desk
        assert desk is not None
        cast = stage.cast(self._office.directory)
        plan = (await self._lives())[0]
        assert plan is not None
        waiting = [e for e in plan.entries if e.book is Book.INCOMING and e.status is EntryStatus.ARRIVED]
        for entry in waiting:
            if cast.finance in entry.recipients:
                await desk.accept_entry(entry.entry_id, cast.finance)
            elif cast.planning in entry.recipients:
                await desk.return_entry(entry.entry_id, cast.planning, "Bản gửi kèm thiếu phụ lục")

    def _recount(self, pieces: Sequence[Piece], lives: Sequence[Life | None]) -> tuple[dict[str, int], list[str]]:
        sizes = [len(piece.raw) for piece in pieces]
        # Several addresses may share one mailbox (VP UBND's văn thư keeps two agencies' books): count it once.
        boxes = {Path(b.target.path): b.address for b in reversed(self._office.directory.mailboxes) if b.target.path}
        owners = {b.address: boxes[Path(b.target.path)] for b in self._office.directory.mailboxes if b.target.path}
        found = {address: recount.digests(path, sizes) for path, address in boxes.items()}
        kinds = [kind for path in boxes for kind in recount.notices(path)]
        counts, problems = recount.compare(self._sent, lives, found, owners)
        counts["receipts"] = len(kinds)
        return counts, problems


async def _keep_serving(
    serving: asyncio.Task[None], built: stage.Stage, daemon: Daemon, place: Path, *, as_json: bool
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if not as_json:
        table.invitation(daemon.listeners, built, place)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not as_json:
        print_line(say("Đã dừng.", "Stopped."))


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
