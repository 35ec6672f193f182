"""TLS towards the next hop: which policy asks for what. Opens no connection."""

from __future__ import annotations

import ssl
from enum import StrEnum


class TlsPolicy(StrEnum):
    """The values of `Target.tls`, weakest first."""

    NONE = "none"  # never
    MAY = "may"  # when offered, any certificate, clear text when it fails
    ENCRYPT = "encrypt"  # always, any certificate
    VERIFY = "verify"  # always, certificate of the host's name by a trusted authority

    @property
    def is_mandatory(self) -> bool:
        return self in (TlsPolicy.ENCRYPT, TlsPolicy.VERIFY)


class Contexts:
    """One TLS context per policy, made at first use. `ca_file` is a PEM file of trusted authorities, "" the system's."""

    def __init__(self, ca_file: str = "") -> None:
        self._ca_file = ca_file
        self._made: dict[TlsPolicy, ssl.SSLContext] = {}

    def of(self, policy: TlsPolicy) -> ssl.SSLContext:
        if policy not in self._made:
            self._made[policy] = self._make(policy)
        return self._made[policy]

    def _make(self, policy: TlsPolicy) -> ssl.SSLContext:
        if policy is TlsPolicy.VERIFY:
            context = ssl.create_default_context(cafile=self._ca_file or None)
            # Python 3.13 turns this on by itself: authorities whose certificates lack a key usage would not be believed.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        else:
            # RFC 7435: without a policy that names the peer, encryption without authentication is better than none.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
