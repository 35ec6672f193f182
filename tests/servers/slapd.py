"""A real OpenLDAP server of its own: own configuration, database and certificate; plain and TLS on loopback. Root or not."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from types import TracebackType

from tests.servers.certificates import Authority, Pair
from tests.servers.process import LOOPBACK, Child, free_port, open_folder, program

BASE = "dc=hoabinh,dc=gov,dc=vn"
PEOPLE = f"ou=Cán bộ,{BASE}"
SERVICE = f"cn=mailrelay,{BASE}"
SERVICE_PASSWORD = "chỉ để tìm"
PASSWORD = 'mật khẩu "dài" \\ 1'

_CONF = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
disallow bind_anon
{extra}
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
directory {folder}/data
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service}" read by * none
"""


def _text(name: str, value: str) -> str:
    return f"{name}:: {b64encode(value.encode()).decode()}\n"


def entry(uid: str, *, password: str = PASSWORD, mail: str = "", title: str = "") -> str:
    """One person in LDIF."""
    return (
        _text("dn", f"uid={uid.replace(',', chr(92) + ',').replace('+', chr(92) + '+')},{PEOPLE}")
        + "objectClass: inetOrgPerson\n"
        + _text("uid", uid)
        + _text("cn", uid)
        + _text("sn", uid)
        + (_text("userPassword", password) if password else "")
        + (_text("mail", mail) if mail else "")
        + (_text("title", title) if title else "")
        + "\n"
    )


_TREE = (
    f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: hoabinh\no: Hoa Binh\n\n"
    + _text("dn", PEOPLE)
    + "objectClass: organizationalUnit\n"
    + _text("ou", "Cán bộ")
    + "\n"
    + f"dn: {SERVICE}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: mailrelay\n"
    + _text("userPassword", SERVICE_PASSWORD)
    + "\n"
)


class Slapd:
    """`with Slapd(authority, people) as slapd:` starts it; leaving ends it and removes its folder."""

    def __init__(self, authority: Authority, pair: Pair, people: str, *, extra: str = "") -> None:
        self.port, self.tls_port = free_port(), free_port()
        self._authority = authority
        self._pair = pair
        self._people = people
        self._extra = extra
        self._folder: Path | None = None
        self._child: Child | None = None

    def __enter__(self) -> Slapd:
        self._folder = open_folder("slapd")
        (self._folder / "data").mkdir()
        conf = self._folder / "slapd.conf"
        conf.write_text(
            _CONF.format(
                folder=self._folder,
                authority=self._authority.certificate,
                certificate=self._pair.certificate,
                key=self._pair.key,
                base=BASE,
                service=SERVICE,
                extra=self._extra,
            )
        )
        ldif = self._folder / "tree.ldif"
        ldif.write_text(_TREE + self._people)
        subprocess.run(
            [program("slapadd"), "-f", conf, "-l", ldif], check=True, capture_output=True, text=True, timeout=30
        )
        self.start()
        return self

    def start(self) -> None:
        assert self._folder is not None
        places = f"ldap://{LOOPBACK}:{self.port}/ ldaps://{LOOPBACK}:{self.tls_port}/"
        command = [program("slapd"), "-f", self._folder / "slapd.conf", "-h", places, "-d", "0"]
        self._child = Child(command, self._folder / "slapd.log")
        self._child.wait_port(self.port)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
