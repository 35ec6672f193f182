"""The only readers of YAML and TOML: files become model values, mistakes become lines `file:line:col: message`."""

from mailrelay.config.directory import load_directory
from mailrelay.config.office import Office, load_office, secrets_of
from mailrelay.config.rulebook import load_rulebook
from mailrelay.config.sample import sample_settings, shipped_dir, write_sample_office
from mailrelay.config.secrets import Secrets
from mailrelay.config.settings import Settings, settings_table
from mailrelay.config.settings_file import load_settings

__all__ = [
    "Office",
    "Secrets",
    "Settings",
    "load_directory",
    "load_office",
    "load_rulebook",
    "load_settings",
    "sample_settings",
    "secrets_of",
    "settings_table",
    "shipped_dir",
    "write_sample_office",
]
