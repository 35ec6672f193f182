"""Every notice to a person: what it says, its form, its seal, and what comes back. Opens no socket and no database."""
