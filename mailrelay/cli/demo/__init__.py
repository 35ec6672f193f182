"""A whole office on loopback: built on the spot, used as clerks use it, recounted from outside the service."""
