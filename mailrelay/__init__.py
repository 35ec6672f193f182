"""mailrelay: gửi, nhận văn bản điện tử qua thư – the exchange of official documents by e-mail."""

__version__ = "0.1.0"
