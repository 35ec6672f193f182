"""Who may be told what: whose address is proved, who decides on a hold, which reports were asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mailrelay.model.agency import Directory
from mailrelay.model.decision import Action
from mailrelay.model.dispatch import Dispatch, Outcome
from mailrelay.model.envelope import Envelope, Notify
from mailrelay.model.finding import Check, Finding, Verdict
from mailrelay.model.record import MailRecord


def holder_of(record: MailRecord, recipient: str, directory: Directory) -> str:
    """Who decides on a held mail: the sender's văn thư, for outside mail the receiver's, for malware the operator.

    So too for what could not be scanned: that the scanner answers is the operator's business.
    """
    theirs = (Verdict.FAIL, Verdict.TEMPERROR)
    if any(f.check is Check.ANTIVIRUS and f.verdict in theirs for f in record.findings):
        return operator(directory)
    for address in (record.message.envelope.sender, recipient):
        agency = directory.agency_of(address)
        if agency is not None and agency.clerk:
            return agency.clerk
    return operator(directory)


def operator(directory: Directory) -> str:
    """Who looks after the service itself."""
    return directory.system_addresses.get("postmaster", f"postmaster@{directory.domain}")


def is_ours(envelope: Envelope) -> bool:
    return bool(envelope.sender) and envelope.origin.is_authenticated


def is_proved(record: MailRecord) -> bool:
    """Tell whether trouble may be reported to the envelope sender: logged in, or its domain proved by SPF, DKIM or DMARC."""
    envelope = record.message.envelope
    if not envelope.sender:
        return False
    if is_ours(envelope):
        return True
    return any(voucher(finding, envelope.sender) for finding in record.findings)


def voucher(finding: Finding, sender: str) -> str:
    """The domain by which a finding proves an envelope sender's address, or ""."""
    if finding.verdict is not Verdict.PASS or finding.check not in (Check.SPF, Check.DKIM, Check.DMARC):
        return ""
    signer = str(finding.facts.get("domain") or finding.subject).lower()
    return signer if _aligned(signer, sender.rpartition("@")[2].lower()) else ""


def _aligned(signer: str, domain: str) -> bool:
    """The signing domain is the sender's or one above it, but no mere public suffix such as gov.vn."""
    labels = signer.split(".")
    is_suffix = len(labels) < 2 or (len(labels) == 2 and len(labels[1]) == 2 and len(labels[0]) <= 4)
    return signer == domain or (not is_suffix and domain.endswith(f".{signer}"))


def owes_slip(record: MailRecord, address: str) -> bool:
    """The rules owe a slip for this recipient; what was held and then released is owed one like any arrival."""
    decided = record.decision.recipients if record.decision else ()
    mine = [one for one in decided if one.recipient.lower() == address.lower()]
    return any("receipt:incoming" in one.obligations or one.action is Action.HOLD for one in mine)


def wants(dispatch: Dispatch, what: Notify, *, unasked: bool = False) -> bool:
    """RFC 3461 section 4.1: NEVER is silence; without NOTIFY a failure is reported and nothing else."""
    notify = dispatch.recipient.notify
    return unasked if notify is None else what in notify and Notify.NEVER not in notify


def asked_for(settled: Sequence[tuple[Dispatch, Outcome]]) -> dict[str, list[tuple[Dispatch, Outcome]]]:
    """Sort the successes that were asked for by RFC 3464 action. A next hop that took over the duty leaves none to us."""
    asked: dict[str, list[tuple[Dispatch, Outcome]]] = {"delivered": [], "relayed": []}
    for dispatch, outcome in settled:
        if dispatch.state.value in asked and wants(dispatch, Notify.SUCCESS) and not outcome.dsn:
            asked[dispatch.state.value].append((dispatch, outcome))
    return asked
