"""The IMAP door: boxes on other servers that are polled. Knows the protocol; what a mail means is not its business."""
