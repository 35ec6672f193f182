"""Faults: what stops a piece of work. Outcomes, findings and refusals are values and never come this way."""

from __future__ import annotations


class Fault(Exception):
    """Base of all faults. `temporary` says whether trying again may help."""

    temporary = True

    def diagnostics(self) -> str:
        """Say for a person at a terminal what happened and what to do."""
        return str(self)


class StoreFault(Fault):
    """The store cannot promise durability now: doors answer 451."""


class StoreNotNow(StoreFault):
    """The store takes nothing at present (locked, full), and surely kept nothing of this transaction."""


class StoreFull(StoreNotNow):
    """The disk of the store has no room left: doors answer 452. It passes when somebody makes room."""


class StoreUnhealthy(StoreFault):
    """A sync failed. Accepting stops until the service is started again (an fsync error is never retried)."""


class InspectionFault(Fault):
    """The workers are gone and could not be started again."""


class ConfigFault(Fault):
    """The configuration has problems; `problems` are finished lines `file:line:col: message`."""

    temporary = False

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotFound(Fault):
    """What was asked for does not exist."""

    temporary = False


class NotAllowed(Fault):
    """The state of a thing does not allow the act (for example accepting an entry twice)."""

    temporary = False
