"""The chain of schema changes, one for both engines. Shipped with the package and run by `open_store`."""

HEAD = "0001"  # the newest revision; a test holds it to the chain
