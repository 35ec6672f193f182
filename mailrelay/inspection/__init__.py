"""Facts about a mail, never actions. Hostile bytes are parsed in worker processes only."""
