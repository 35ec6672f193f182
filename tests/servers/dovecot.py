"""A real Dovecot of its own: own configuration and mailboxes, IMAP (plain and TLS) and LMTP on loopback. Root or not.

Every name is an account with the same password. Mail is put in by LMTP, by IMAP APPEND, or straight into the Maildir.
"""

from __future__ import annotations

import getpass
import hashlib
import imaplib
import itertools
import os
import pwd
import shutil
import smtplib
import subprocess
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.servers.certificates import Pair
from tests.servers.process import LOOPBACK, Child, free_port, open_folder, program

PASSWORD = 'mật khẩu "dài" \\ 1'  # needs quoting, and a literal for its letters

_CONF = """\
base_dir = {folder}/run
log_path = {folder}/dovecot.log
state_dir = {folder}/run
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {group}
mail_location = maildir:{folder}/mail/%n
mail_home = {folder}/mail/%n
{owner}
first_valid_uid = 1
mail_fsync = never
auth_username_chars =
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0 secs
disable_plaintext_auth = no
ssl = {ssl}
{certificate}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = {identity} home={folder}/mail/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 4000
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  service_count = 0
  client_limit = 2000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = {ssl}
  }}
}}
service imap {{
  process_limit = 1000
  service_count = 200
  client_limit = 50
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
protocol imap {{
  imap_idle_notify_interval = 30 s
  mail_max_userip_connections = 2000
}}
protocol lmtp {{
  auth_username_format = %Ln
}}
{extra}
"""


class Dovecot:
    """`with Dovecot(pair) as dovecot:` starts it; leaving ends it and removes its folder. `pair`: certificate, None is no TLS."""

    password = PASSWORD

    def __init__(self, pair: Pair | None = None, *, extra: str = "", password: str = PASSWORD) -> None:
        self.password = password
        self.host = LOOPBACK
        self.port = free_port()
        self.tls_port = free_port()
        self.lmtp_port = free_port()
        self.folder = open_folder("dovecot")
        self._pair = pair
        self._extra = extra
        self._child: Child | None = None
        self._names = itertools.count()

    def __enter__(self) -> Dovecot:
        (self.folder / "mail").mkdir()
        self.own(self.folder / "mail")
        (self.folder / "dovecot.conf").write_text(self._configuration())
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        self._child = Child([program("dovecot"), "-F", "-c", self.folder / "dovecot.conf"], self.folder / "start.log")
        try:
            for port in (self.port, self.lmtp_port, *([self.tls_port] if self._pair else [])):
                self._child.wait_port(port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server with all its sessions; mailboxes stay."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def deliver(self, user: str, *mails: bytes, sender: str = "sender@example.test") -> None:
        """Put mails into INBOX by LMTP, as a mail server does (adds Return-Path, Delivered-To, Received)."""
        with smtplib.LMTP(LOOPBACK, self.lmtp_port) as client:
            for mail in mails:
                client.sendmail(sender, [user], mail)

    def append(self, user: str, folder: str, *mails: bytes, flags: str = "") -> None:
        """Put mails into a folder (its wire name) by IMAP APPEND, byte for byte."""
        with self.session(user) as client:
            for mail in mails:
                status, answer = client.append(f'"{folder}"', flags, None, mail)
                assert status == "OK", answer

    def place(self, user: str, *mails: bytes) -> None:
        """Put mails straight into the Maildir of INBOX: the quick way for a thousand."""
        folder = self.maildir(user)
        for mail in mails:
            name = f"{int(time.time())}.{next(self._names):06d}.test"
            temporary = folder / "tmp" / name
            temporary.write_bytes(mail)
            self.own(temporary)
            temporary.rename(folder / "new" / name)

    def maildir(self, user: str) -> Path:
        """The Maildir of INBOX, made when it is missing."""
        folder = self.folder / "mail" / user
        if not (folder / "new").exists():
            with self.session(user) as client:
                client.select("INBOX")
                client.noop()
        for name in ("tmp", "new", "cur"):
            if not (folder / name).exists():
                (folder / name).mkdir(parents=True)
                self.own(folder / name)
        return folder

    def own(self, path: Path) -> None:
        """Give a file or a whole folder to the user that Dovecot reads mail as."""
        if os.geteuid() != 0:
            return
        owner = pwd.getpwnam("nobody")
        for item in (path, *path.rglob("*")):
            os.chown(item, owner.pw_uid, owner.pw_gid)

    def session(self, user: str) -> imaplib.IMAP4:
        """A logged-in client of the standard library, which is not the code under test."""
        client = imaplib.IMAP4(LOOPBACK, self.port, timeout=20)
        client.authenticate("PLAIN", lambda _: f"\0{user}\0{self.password}".encode())
        return client

    def flags(self, user: str, folder: str = "INBOX") -> dict[int, frozenset[str]]:
        """The flags of every mail of a folder (its wire name) by UID."""
        with self.session(user) as client:
            status, _ = client.select(f'"{folder}"', readonly=True)
            if status != "OK":
                return {}
            found: dict[int, frozenset[str]] = {}
            for line in client.uid("FETCH", "1:*", "(UID FLAGS)")[1]:
                if line is None:
                    continue
                text = line.decode()
                uid = int(text.split("UID ")[1].split()[0].rstrip(")"))
                found[uid] = frozenset(text.split("FLAGS (")[1].split(")")[0].split())
            return found

    def renew_uidvalidity(self, user: str) -> None:
        """Give INBOX a new UIDVALIDITY, as a restored or rebuilt server does. Call it while nobody is logged in."""
        folder = self.maildir(user)
        before = self._uidvalidity(user)
        while True:
            for path in folder.glob("dovecot*"):
                path.unlink()
            if self._uidvalidity(user) != before:
                return
            time.sleep(1.1)  # it is made of the seconds of the clock

    def admin(self, *words: str, data: bytes = b"") -> str:
        """Run doveadm on this server."""
        command: Sequence[str] = [program("doveadm"), "-c", str(self.folder / "dovecot.conf"), *words]
        return subprocess.run(command, input=data, capture_output=True, check=True, timeout=20).stdout.decode()

    def log(self) -> str:
        path = self.folder / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _uidvalidity(self, user: str) -> str:
        with self.session(user) as client:
            client.select("INBOX")
            return str(client.untagged_responses.get("UIDVALIDITY", [b""])[0])

    def _configuration(self) -> str:
        root = os.geteuid() == 0
        own = getpass.getuser()
        certificate = ""
        if self._pair is not None:
            certificate = f"ssl_cert = <{self._pair.certificate}\nssl_key = <{self._pair.key}"
        return _CONF.format(
            folder=self.folder,
            internal="dovecot" if root else own,
            login="dovenull" if root else own,
            group="dovecot" if root else pwd.getpwnam(own).pw_name,
            owner="mail_uid = nobody\nmail_gid = nogroup" if root else "",
            identity="uid=nobody gid=nogroup" if root else f"uid={os.geteuid()} gid={os.getegid()}",
            ssl="yes" if self._pair else "no",
            certificate=certificate,
            password=self._hashed(),
            imap=self.port,
            imaps=self.tls_port,
            lmtp=self.lmtp_port,
            extra=self._extra,
        )

    def _hashed(self) -> str:
        """The password as Dovecot's configuration can hold it, whatever its letters."""
        return "{SHA256}" + b64encode(hashlib.sha256(self.password.encode()).digest()).decode()
