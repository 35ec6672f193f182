"""The SMTP and LMTP doors: the only home of aiosmtpd."""
