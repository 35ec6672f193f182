"""The open door of tests/intake/smtp, for dialogs."""

from __future__ import annotations

from tests.intake.smtp.conftest import open_office, tls

__all__ = ["open_office", "tls"]
