"""One file per schema change, each frozen once released."""
