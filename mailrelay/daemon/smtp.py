"""The doors of SMTP and LMTP from the settings: listeners, limits, and who knows the passwords."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

from mailrelay.config.office import Office
from mailrelay.config.secrets import Secrets
from mailrelay.config.settings import Settings
from mailrelay.daemon.activation import inherited_sockets
from mailrelay.intake.smtp.authentication import LocalPasswords
from mailrelay.intake.smtp.desk import CheckPassword
from mailrelay.intake.smtp.door import Listener, SmtpDoor
from mailrelay.intake.smtp.ldap import LdapPasswords, LdapSearch
from mailrelay.intake.smtp.limits import Limits
from mailrelay.intake.smtp.password_servers import DovecotPasswords, ImapPasswords
from mailrelay.intake.smtp.replies import Wording
from mailrelay.intake.smtp.tls import server_context
from mailrelay.model.envelope import Door
from mailrelay.pipeline.accept import Pipeline
from mailrelay.pipeline.parts import Parts

Snapshot = Callable[[], Office]


def smtp_door(
    office: Snapshot,
    pipeline: Pipeline,
    parts: Parts,
    on_suspension: Callable[[str], None],
    hindrance: Callable[[], str],
) -> SmtpDoor:
    """`on_suspension` is told the logins that the door has suspended."""
    settings = office().settings
    secrets = Secrets(settings.secrets_dir)
    return SmtpDoor(
        tuple(_listeners(settings)),
        hostname=settings.hostname,
        directory=lambda: office().directory,
        draft=parts.spool.draft,
        accept=pipeline.accept,
        check_password=passwords(office, secrets),
        tls=_tls(settings),
        limits=limits(settings),
        wording=Wording(settings.smtp.reply_charset, settings.receipts.base_url),
        rights_of=lambda peer: office().settings.rights_of(peer),
        on_suspension=on_suspension,
        hindrance=hindrance,
    )


def passwords(office: Snapshot, secrets: Secrets) -> CheckPassword:
    """Whoever knows the passwords. `load_office` has seen to it that what the backend needs is set."""
    settings = office().settings
    chosen = settings.auth
    if chosen.backend == "dovecot" and chosen.dovecot is not None:
        return DovecotPasswords(chosen.dovecot)
    if chosen.backend == "imap":
        server = chosen.imap[0]
        return ImapPasswords(server.host, server.port, chosen.imap_tls, _trust(settings))
    if chosen.backend == "ldap":
        return _directory_server(settings, secrets)
    return LocalPasswords(lambda: office().directory, secrets.read)


def _directory_server(settings: Settings, secrets: Secrets) -> LdapPasswords:
    ldap = settings.ldap
    name: str | LdapSearch = ldap.bind
    if not ldap.bind:
        assert ldap.filter is not None
        reference = ldap.password
        name = LdapSearch(ldap.base, ldap.filter, ldap.user, lambda: secrets.read(reference) if reference else "")
    servers = tuple((place.host, place.port) for place in ldap.servers)
    return LdapPasswords(servers, name, ldap.tls, _trust(settings))


def _trust(settings: Settings) -> ssl.SSLContext:
    """What the server of the passwords is checked by. Made once: reading the system's roots takes long."""
    return ssl.create_default_context(cafile=settings.auth.ca)


def _listeners(settings: Settings) -> Iterator[Listener]:
    """What systemd opened goes first; a door that it opened is not opened a second time from the settings."""
    listen = settings.listen
    inherited = inherited_sockets()
    for door, places in (
        (Door.MX, listen.mx),
        (Door.SUBMISSION, listen.submission),
        (Door.SUBMISSIONS, listen.submissions),
        (Door.LMTP, listen.lmtp),
    ):
        if door.value in inherited:
            yield Listener(door, sockets=inherited[door.value])
            continue
        for place in places:
            yield Listener(door, place.host, place.port)


def limits(settings: Settings) -> Limits:
    given, quota = settings.limits, settings.quota
    return Limits(
        connections=given.connections,
        connections_per_address=given.connections_per_ip,
        size=given.message_size,
        line_length=given.line_length,
        recipients=given.recipients,
        errors=given.errors,
        idle_commands=given.idle_commands,
        error_delay=given.error_delay,
        crowded_time=given.crowded_time,
        handshake_time=given.handshake_time,
        command_time=given.command_time,
        block_time=given.block_time,
        data_time=given.data_time,
        minimum_rate=given.minimum_rate,
        rate_grace=given.rate_grace,
        auth_failures_per_session=given.auth_failures,
        auth_failures_per_address=given.auth_failures_per_ip,
        auth_failures_per_login=given.auth_failures_per_login,
        auth_lock_time=given.auth_lock,
        auth_delay=given.auth_delay,
        quota_recipients=quota.recipients,
        quota_time=quota.time,
        suspend_after=quota.suspend_after,
        suspension_time=quota.suspension,
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls.certificate is None or settings.tls.key is None:
        return None
    return server_context(settings.tls.certificate, settings.tls.key)
