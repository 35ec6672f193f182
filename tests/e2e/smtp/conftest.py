"""The open door of tests/intake/smtp, beside real servers and real clients."""

from __future__ import annotations

from tests.intake.smtp.conftest import office, open_office, tls

__all__ = ["office", "open_office", "tls"]
