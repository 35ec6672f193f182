"""The spool: bytes under their mail id, hashed, dropped, swept."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailrelay.model.identity import MailId, make_mail_id, milliseconds_of
from mailrelay.spool import Spool
from mailrelay.store import durable

NOW = datetime(2026, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock) -> Spool:
    return Spool(tmp_path / "spool", now=clock)


def _write(spool: Spool, data: bytes = b"x") -> MailId:
    draft = spool.draft()
    draft.write(data)
    draft.finish()
    return draft.mail_id


def test_a_draft_is_a_private_file_named_by_its_mail_id_in_the_folder_of_its_day(spool: Spool, tmp_path: Path) -> None:
    draft = spool.draft()
    assert draft.path == tmp_path / "spool/2026/12/31" / f"{draft.mail_id}.eml"
    assert milliseconds_of(draft.mail_id) == int(NOW.timestamp() * 1000)
    assert draft.path.stat().st_mode & 0o777 == 0o600
    assert draft.path.parent.stat().st_mode & 0o777 == 0o700
    assert spool.path(draft.mail_id) == draft.path


def test_the_bytes_are_kept_counted_and_hashed(spool: Spool) -> None:
    blocks = [os.urandom(size) for size in (0, 1, 4096, 300_000)]
    draft = spool.draft()
    for block in blocks:
        draft.write(block)
    whole = b"".join(blocks)
    assert draft.path.read_bytes() == whole  # written through, not buffered
    assert draft.finish() == hashlib.sha256(whole).hexdigest()
    assert draft.finish() == hashlib.sha256(whole).hexdigest()
    assert draft.size == len(whole)
    with spool.open(draft.mail_id) as file:
        assert file.read() == whole


def test_nothing_is_written_after_the_end(spool: Spool) -> None:
    finished, discarded = spool.draft(), spool.draft()
    finished.finish()
    discarded.discard()
    for draft in (finished, discarded):
        with pytest.raises(ValueError):
            draft.write(b"late")
    with pytest.raises(ValueError):
        discarded.finish()


def test_a_discarded_draft_is_gone(spool: Spool) -> None:
    for finish in (False, True):
        draft = spool.draft()
        draft.write(b"secret")
        if finish:
            draft.finish()
        draft.discard()
        draft.discard()
        assert not draft.path.exists()
        with pytest.raises(FileNotFoundError):
            spool.open(draft.mail_id)


def test_a_draft_that_is_given_up_goes_at_once_and_without_a_sync(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody was told anything of it: what a power cut brings back goes at the next start."""
    draft = spool.draft()
    draft.write(b"half a mai")
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", lambda folder, fsync=None: synced.append(folder))
    draft.give_up()
    draft.give_up()
    draft.discard()
    assert (draft.path.exists(), synced) == (False, [])
    with pytest.raises(ValueError):
        draft.finish()


def test_a_discarded_file_may_be_gone_already_with_its_folder(spool: Spool) -> None:
    draft = spool.draft()
    draft.path.unlink()
    draft.path.parent.rmdir()
    draft.discard()


def test_a_mail_id_is_never_used_twice(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path / "spool", now=clock, randomness=lambda count: b"\0" * count)
    first = spool.draft()
    first.write(b"first")
    with pytest.raises(FileExistsError):
        spool.draft()
    assert first.path.read_bytes() == b"first"


@pytest.fixture
def _file_limit() -> Iterator[None]:
    """Files cannot grow beyond 64 KiB: a write is cut short first, then refused, as on a disk that is full."""
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, old)


@pytest.mark.usefixtures("_file_limit")
def test_a_write_that_the_disk_cuts_short_is_never_taken_for_whole(spool: Spool) -> None:
    draft = spool.draft()
    draft.write(b"x" * 60_000)
    with pytest.raises(OSError):
        draft.write(b"y" * 60_000)
    assert draft.path.stat().st_size == 65_536
    draft.discard()


def test_a_full_device_is_told_to_the_door(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "create", lambda path: os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match="No space left"):
        spool.draft().write(b"x")


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "01HZZZZZZZZZZZZZZZZZZZZZZ", "8" + "Z" * 25, "0" * 26 + "\n"])
def test_what_is_no_mail_id_has_no_path(spool: Spool, name: str) -> None:
    for ask in (spool.path, spool.open, spool.remove):
        with pytest.raises(ValueError):
            ask(MailId(name))


def test_the_folder_follows_the_mail_id_not_the_clock(spool: Spool, clock: Clock, tmp_path: Path) -> None:
    first = spool.draft()
    clock.now += timedelta(seconds=1)
    second = spool.draft()
    assert first.path.parent == tmp_path / "spool/2026/12/31"
    assert second.path.parent == tmp_path / "spool/2027/01/01"
    assert spool.path(first.mail_id) == first.path


def test_a_folder_that_was_removed_is_made_again(spool: Spool) -> None:
    spool.draft().discard()
    first = spool.draft()
    first.discard()
    first.path.parent.rmdir()
    assert spool.draft().path.exists()


def test_a_removed_mail_is_gone_and_may_be_removed_again(spool: Spool) -> None:
    mail_id = _write(spool)
    spool.remove(mail_id)
    spool.remove(mail_id)
    assert not spool.path(mail_id).exists()
    spool.remove(make_mail_id(0, bytes(10)))  # a day that never was


def test_a_sweep_drops_the_files_without_a_row_only(spool: Spool, clock: Clock, tmp_path: Path) -> None:
    kept, dropped = [_write(spool)], [_write(spool)]
    clock.now += timedelta(days=40)
    kept.append(_write(spool))
    dropped.append(_write(spool))
    strange = tmp_path / "spool/2026/12/31/readme.txt"
    strange.write_text("not ours")
    asked: list[MailId] = []

    def known(mail_ids: object) -> list[MailId]:
        asked.extend(mail_ids)  # type: ignore[call-overload]
        return kept

    assert spool.sweep(known) == tuple(dropped)
    assert sorted(asked) == sorted(kept + dropped)
    assert sorted(spool.listing()) == sorted(kept)
    assert strange.exists()
    assert spool.sweep(known) == ()


def test_a_sweep_asks_for_many_in_parts(spool: Spool) -> None:
    written = sorted(_write(spool) for _ in range(1100))
    sizes: list[int] = []

    def known(mail_ids: object) -> list[MailId]:
        sizes.append(len(mail_ids))  # type: ignore[arg-type]
        return written[1:]

    assert spool.sweep(known) == (written[0],)
    assert sum(sizes) == 1100 and max(sizes) == 500


def test_an_empty_spool_has_nothing_to_sweep_and_room(spool: Spool) -> None:
    assert spool.sweep(lambda mail_ids: []) == ()
    assert list(spool.listing()) == []
    assert spool.free_bytes() > 0


def test_the_folders_above_a_new_day_are_synced_once(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that exist already: a process that was killed may have made them without syncing."""
    synced: list[str] = []

    def note(folder: Path, fsync: object = None) -> None:
        synced.append(str(folder.relative_to(tmp_path)))

    monkeypatch.setattr(durable, "sync_folder", note)
    (tmp_path / "spool/2026/12/31").mkdir(parents=True)
    spool = Spool(tmp_path / "spool", now=clock)
    spool.draft()
    spool.draft()
    assert synced == [".", "spool", "spool/2026", "spool/2026/12"]
