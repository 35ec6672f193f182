"""The sample office on disk: configuration with ports and paths filled in, secrets, certificates, trust."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailrelay.cli.demo import keys, outside, scenario
from mailrelay.cli.demo.keys import Identity
from mailrelay.cli.demo.scenario import Cast, Piece
from mailrelay.config.directory import load_directory
from mailrelay.config.sample import write_sample_office
from mailrelay.model.agency import Directory, Role
from mailrelay.model.faults import Fault
from mailrelay.store.engine import DataLock

DOMAIN = "hoabinh.gov.vn"
_MARK = Path("secrets", "demo-password")  # by this file an office is known to be a sample


@dataclass(frozen=True, slots=True)
class Stage:
    """What the players need to know of the office that was built."""

    person: Identity
    agency: Identity
    authority: Path  # the CA of the TLS certificate, PEM
    password: str
    password_file: Path
    example_login: str


def build(place: Path, name_server: int, store: str = "") -> Stage:
    """Write an office into `place`. An earlier sample is overwritten, but for its data. `store` "": SQLite beside them.

    Raises Fault where another office stands, or where one is being served.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any((place / name).exists() for name in ("mailrelay.toml", "mailboxes.yaml")) and not (place / _MARK).exists():
        raise Fault(
            f"{place} đã có cấu hình khác, hãy chọn thư mục trống. ({place} holds another office: choose an empty folder.)"
        )
    with DataLock(place / "data"):
        return _written(place, name_server, store)


def _written(place: Path, name_server: int, store: str) -> Stage:
    world = keys.make_authority("CA mẫu của mailrelay")
    tls = keys.issue_server(world, f"mail.{DOMAIN}", place / "tls")
    roots = place / "trust"
    roots.mkdir(exist_ok=True)
    authority = roots / "ca-mau.pem"
    authority.write_bytes(world.certificate.public_bytes(serialization.Encoding.PEM))
    signing = place / "signing"
    person = keys.issue_signer(world, "Nguyễn Văn Quang", "UBND tỉnh Hòa Bình", signing, "person")
    agency = keys.issue_signer(world, "Ủy ban nhân dân tỉnh Hòa Bình", "UBND tỉnh Hòa Bình", signing, "agency")
    write_sample_office(place, _settings(tls, roots, name_server, store))
    password = secrets.token_urlsafe(12)
    password_file = place / _MARK
    keys.write_private(password_file, password.encode() + b"\n")
    _write_logins(place, password)
    return Stage(person, agency, authority, password, password_file, f"sotc@{DOMAIN}")


def cast(directory: Directory) -> Cast:
    """Find the players in the sample directory by what they are."""

    def clerk(local: str) -> str:
        return directory.resolve(f"{local}@{DOMAIN}")

    everyone = max(directory.groups, key=lambda group: len(group.members))
    people = [box for box in directory.mailboxes if box.roles == {Role.SPECIALIST} and box.login and box.enabled]
    return Cast(
        province=clerk("vpubnd"),
        everyone=everyone.address,
        members=tuple(directory.resolve(member) for member in everyone.members),
        communications=clerk("sotttt"),
        finance=clerk("sotc"),
        planning=clerk("sokhdt"),
        person=people[0].address,
        colleague=people[1].address,
    )


def make_ministry_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def ministry_piece(players: Cast, key: rsa.RSAPrivateKey, now: datetime) -> Piece:
    """The ministry's letter with its DKIM signature (RFC 6376), as it comes in on port 25."""
    sender, message_id, raw = scenario.ministry_mail(players, now)
    signed = outside.dkim_signed(raw, key)
    receiver = (players.communications,)
    title = "Công văn của Bộ, có DKIM"
    return Piece(title, "", sender, receiver, signed, message_id, "document", "delivered", receiver)


def _write_logins(place: Path, password: str) -> None:
    """One hash for all logins of the demo: argon2id is made to be slow, and these accounts live for an afternoon."""
    hashed = PasswordHasher().hash(password).encode() + b"\n"
    for box in load_directory(place).mailboxes:
        if box.password is not None and box.password.scheme == "file":
            keys.write_private(place / "secrets" / box.password.name, hashed)


def _settings(tls: Identity, roots: Path, name_server: int, store: str) -> dict[str, Any]:
    doors = {f"listen.{door}": ["127.0.0.1:0"] for door in ("mx", "submission", "submissions")}
    chosen = {"store.url": store} if store else {}
    return {
        **doors,
        **chosen,
        "domain": DOMAIN,
        "hostname": f"mail.{DOMAIN}",
        "tls.certificate": f"tls/{tls.certificate.name}",
        "tls.key": f"tls/{tls.key.name}",
        "dns.servers": [f"127.0.0.1:{name_server}"],
        "limits.disk_reserve": "64 MiB",  # a demonstration is no province
        "inspection.trust_roots": roots.name,
    }
