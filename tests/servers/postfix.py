"""A real Postfix of its own: own configuration, queue and mailboxes, loopback only. Needs root, as Postfix does.

As the next hop it delivers to Maildirs (`mailboxes`); as the MTA in front it sends everything on to `relay_to`.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from types import TracebackType

from tests.servers.maildir import letters
from tests.servers.process import LOOPBACK, Child, free_port, open_folder, program, wait_until

_OWNER = pwd.getpwnam("nobody")  # virtual(8) never delivers as root

_MASTER = """\
{listen} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
virtual unix - n n - - virtual
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def _postconf(name: str) -> str:
    return subprocess.run([program("postconf"), "-dh", name], capture_output=True, text=True, check=True).stdout.strip()


class Postfix:
    """`with Postfix(…) as postfix:` starts it; leaving ends it and removes its folder.

    `mailboxes` are the addresses that it delivers itself. Everything else goes to `relay_to` (port on loopback), or is
    refused. `settings` overrides main.cf, `services` are further lines of master.cf.
    """

    def __init__(
        self,
        *,
        mailboxes: tuple[str, ...] = (),
        relay_to: int | None = None,
        hostname: str = "mx.example.test",
        settings: Mapping[str, str] | None = None,
        services: str = "",
    ) -> None:
        self.port = free_port()
        self.folder = open_folder("postfix")
        self._conf = self.folder / "conf"
        self._boxes = {address.lower(): self.folder / "mail" / address.lower() for address in mailboxes}
        self._relay_to = relay_to
        self._hostname = hostname
        self._settings = dict(settings or {})
        self._services = services
        self._child: Child | None = None

    def _main(self) -> dict[str, str]:
        virtual = self._conf / "mailboxes"
        virtual.write_text("".join(f"{address} {address}/\n" for address in self._boxes))
        domains = sorted({address.partition("@")[2] for address in self._boxes})
        return {
            "compatibility_level": "3.6",
            "queue_directory": f"{self.folder}/queue",
            "data_directory": f"{self.folder}/data",
            "command_directory": _postconf("command_directory"),
            "daemon_directory": _postconf("daemon_directory"),
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "myhostname": self._hostname,
            "mydestination": "",
            "inet_interfaces": LOOPBACK,
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "disable_dns_lookups": "yes",
            "smtpd_peername_lookup": "no",
            "smtp_tls_security_level": "may",
            "smtpd_relay_restrictions": "permit_mynetworks, reject" if self._relay_to else "reject_unauth_destination",
            "relayhost": f"[{LOOPBACK}]:{self._relay_to}" if self._relay_to else "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "virtual_mailbox_base": f"{self.folder}/mail",
            "virtual_mailbox_domains": ", ".join(domains),
            "virtual_mailbox_maps": f"texthash:{virtual}",
            "virtual_uid_maps": f"static:{_OWNER.pw_uid}",
            "virtual_gid_maps": f"static:{_OWNER.pw_gid}",
            "virtual_mailbox_limit": "0",
            "message_size_limit": "104857600",
            "biff": "no",
            "smtputf8_enable": "yes",
            "smtpd_client_connection_count_limit": "0",
            "minimal_backoff_time": "2s",
            "queue_run_delay": "2s",
            "maillog_file": f"{self.folder}/mail.log",
            "maillog_file_prefixes": str(self.folder),
            **self._settings,
        }

    def __enter__(self) -> Postfix:
        for name in ("conf", "queue", "data", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        os.chown(self.folder / "mail", _OWNER.pw_uid, _OWNER.pw_gid)
        (self._conf / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in self._main().items()))
        (self._conf / "master.cf").write_text(_MASTER.format(listen=f"{LOOPBACK}:{self.port}") + self._services)
        self._child = Child([program("postfix"), "-c", self._conf, "start-fg"], self.folder / "start.log")
        try:
            self._child.wait_port(self.port)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def letters(self, address: str) -> list[bytes]:
        """The mails in a box as Postfix stored them (LF line ends, Return-Path and Delivered-To added), oldest first."""
        return letters(self._boxes[address.lower()])

    def wait_letters(self, address: str, count: int, limit: float = 30.0) -> list[bytes]:
        """Wait until a box holds at least `count` mails; the error shows Postfix's log."""
        try:
            wait_until(lambda: len(self.letters(address)) >= count, f"{count} mails for {address}", limit)
        except TimeoutError as fault:
            raise TimeoutError(f"{fault}:\n{self.log()[-4000:]}") from None
        return self.letters(address)

    def queue(self) -> list[dict[str, object]]:
        """What waits in the queue, as postqueue -j tells it."""
        done = subprocess.run(
            [program("postqueue"), "-c", str(self._conf), "-j"], capture_output=True, text=True, check=True, timeout=20
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def log(self) -> str:
        path = self.folder / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""
