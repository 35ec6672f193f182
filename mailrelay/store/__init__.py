"""The only room that knows SQL. Rows in and out as model values; transactions as closures `fn(tx)`."""

from mailrelay.store.engine import DataLock, Store, open_store
from mailrelay.store.transaction import Transaction

__all__ = ["DataLock", "Store", "Transaction", "open_store"]
