"""Builds everything from the settings, runs it, stops it cleanly. Start reading in `run`."""

from mailrelay.daemon.run import Daemon

__all__ = ["Daemon"]
