"""The doors: SMTP, IMAP, and the command line's socket."""
