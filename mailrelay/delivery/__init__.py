"""Delivery: where a mail goes next, and what came of each try. Knows nothing of rules, books or receipts."""
