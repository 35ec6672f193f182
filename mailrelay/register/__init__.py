"""The agencies' register books and the document log."""
