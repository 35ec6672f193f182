"""The only readers of YAML and TOML: files become model values, mistakes become lines `file:line:col: message`."""

from mailrelay.config.secrets import Secrets
from mailrelay.config.settings import Settings
from mailrelay.config.settings_file import load_settings

__all__ = ["Secrets", "Settings", "load_settings"]
