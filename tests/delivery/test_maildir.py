"""Maildir: durable, byte-exact, once; and a clear word when the disk refuses."""

from __future__ import annotations

import errno
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from mailrelay.delivery import maildir
from mailrelay.delivery.maildir import file_name, put
from mailrelay.model.dispatch import Result
from mailrelay.model.message import Rendering


def put_one(folder: Path, parcel):
    return put(folder, parcel, parcel.recipients[0], "relay.test")


def test_writes_the_rendered_bytes(tmp_path: Path, parcel) -> None:
    mail = parcel("b@hoabinh.gov.vn", mail=b"A: 1\r\nAuthentication-Results: us\r\nB: 2\r\n\r\nx\r\n")
    mail = replace(mail, rendering=Rendering(b"Received: here\r\n", ((6, 34),)))
    outcome = put_one(tmp_path / "deep" / "box", mail)
    assert (outcome.result, outcome.status, outcome.recipient) == (Result.DELIVERED, "2.0.0", "b@hoabinh.gov.vn")
    (made,) = (tmp_path / "deep" / "box" / "new").iterdir()
    assert (
        made.read_bytes()
        == b"Return-Path: <a@hoabinh.gov.vn>\r\nDelivered-To: b@hoabinh.gov.vn\r\nReceived: here\r\nA: 1\r\nB: 2\r\n\r\nx\r\n"
    )
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700
    assert list((tmp_path / "deep" / "box" / "tmp").iterdir()) == []


def test_null_sender(tmp_path: Path, parcel) -> None:
    put_one(tmp_path / "box", parcel(sender=""))
    assert next((tmp_path / "box" / "new").iterdir()).read_bytes().startswith(b"Return-Path: <>\r\n")


def test_the_same_delivery_twice_is_one_file(tmp_path: Path, parcel) -> None:
    folder, mail = tmp_path / "box", parcel()
    put_one(folder, mail)
    first = next((folder / "new").iterdir())
    put_one(folder, replace(mail, attempts=2))
    assert [first] == list((folder / "new").iterdir())
    first.rename(folder / "cur" / f"{first.name}:2,S")
    put_one(folder, replace(mail, attempts=2))
    assert list((folder / "new").iterdir()) == []
    assert [f"{first.name}:2,S"] == [path.name for path in (folder / "cur").iterdir()]


def test_two_recipients_are_two_files(tmp_path: Path, parcel) -> None:
    mail = parcel("b@x.vn", "c@x.vn")
    names = {file_name(mail, recipient, "relay.test") for recipient in mail.recipients}
    assert len(names) == 2
    for recipient in mail.recipients:
        put(tmp_path / "box", mail, recipient, "relay.test")
    assert names == {path.name for path in (tmp_path / "box" / "new").iterdir()}
    assert all(name.startswith(f"1772593200.M{mail.mail_id}R") and name.endswith(".relay.test") for name in names)


def test_a_torn_file_of_a_crash_is_written_anew(tmp_path: Path, parcel) -> None:
    mail = parcel()
    maildir._make(tmp_path / "box")
    torn = tmp_path / "box" / "tmp" / file_name(mail, mail.recipients[0], "relay.test")
    torn.write_bytes(b"torn")
    assert Result.DELIVERED is put_one(tmp_path / "box", mail).result
    assert not torn.exists()
    assert next((tmp_path / "box" / "new").iterdir()).read_bytes().endswith(mail.path.read_bytes())


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.ENOSPC, "4.3.1"),
        (errno.EDQUOT, "4.2.2"),
        (errno.EACCES, "4.3.5"),
        (errno.EROFS, "4.3.5"),
        (errno.EIO, "4.3.0"),
    ],
)
def test_disk_faults_defer(tmp_path: Path, parcel, monkeypatch: pytest.MonkeyPatch, number: int, status: str) -> None:
    def refuse(descriptor: int, data: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", refuse)
    outcome = put_one(tmp_path / "box", parcel())
    assert (Result.DEFERRED, status) == (outcome.result, outcome.status)
    assert os.strerror(number) in outcome.text
    assert [*(tmp_path / "box" / "tmp").iterdir(), *(tmp_path / "box" / "new").iterdir()] == []


def test_failed_sync_takes_the_file_back(tmp_path: Path, parcel, monkeypatch: pytest.MonkeyPatch) -> None:
    maildir._make(tmp_path / "box")
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:  # the folder, after the file
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert Result.DEFERRED is put_one(tmp_path / "box", parcel()).result
    assert list((tmp_path / "box" / "new").iterdir()) == []
    assert Result.DELIVERED is put_one(tmp_path / "box", parcel()).result


def test_missing_mail_and_unusable_folder(tmp_path: Path, parcel) -> None:
    mail = parcel()
    mail.path.unlink()
    outcome = put_one(tmp_path / "box", mail)
    assert (outcome.result, outcome.status) == (Result.DEFERRED, "4.3.0")
    assert "không đọc được tệp thư" in outcome.text
    (tmp_path / "file").write_text("")
    outcome = put_one(tmp_path / "file" / "box", parcel())
    assert Result.DEFERRED is outcome.result


def test_order_of_durable_steps(tmp_path: Path, parcel, monkeypatch: pytest.MonkeyPatch) -> None:
    """File synced before its name appears in new/, folder synced before DELIVERED is said."""
    maildir._make(tmp_path / "box")
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().parent.name}")
        real_fsync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    put_one(tmp_path / "box", parcel())
    assert steps == ["sync tmp", "rename", "sync box"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_killed_at_every_durable_step(tmp_path: Path, parcel) -> None:
    """A process that dies at any step leaves nothing or the whole mail; the next try makes it exactly one."""
    mail = parcel()
    expected = maildir.final_fields(mail.sender, "b@example.vn") + mail.rendering.prefix + mail.path.read_bytes()
    for step in range(100):
        folder = tmp_path / f"box{step}"
        child = os.fork()
        if child == 0:
            _die_at(step)
            put_one(folder, mail)
            os._exit(0)
        died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        left = [path.read_bytes() for path in folder.glob("new/*")]
        assert left in ([], [expected])
        assert put_one(folder, replace(mail, attempts=2)).result is Result.DELIVERED
        assert [path.read_bytes() for path in folder.glob("new/*")] == [expected]
        assert list(folder.glob("tmp/*")) == []
        if not died:
            break
    assert 10 < step < 99  # mkdir and sync of four folders, write, sync, rename, sync


def _die_at(step: int) -> None:
    """Kill this process before its `step`th call that changes or syncs the disk."""
    calls = iter(range(1000))

    def deadly(real):
        def call(*args, **named):
            if next(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **named)

        return call

    os.fsync, os.write = deadly(os.fsync), deadly(os.write)
    Path.mkdir, Path.rename = deadly(Path.mkdir), deadly(Path.rename)  # type: ignore[method-assign]


def test_addresses_never_begin_a_field_of_their_own() -> None:
    assert maildir.final_fields("a@b\r\nBcc: x", "c\n@d") == b"Return-Path: <a@bBcc: x>\r\nDelivered-To: c@d\r\n"
