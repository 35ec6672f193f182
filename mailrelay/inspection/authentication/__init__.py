"""Who vouches for a mail: DKIM now; what the peers' names and keys prove, and how we write it down (RFC 8601)."""

from mailrelay.inspection.authentication.results import results_field

__all__ = ["results_field"]
