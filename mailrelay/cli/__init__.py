"""The command line: what admins, clerks at a terminal and auditors type."""
