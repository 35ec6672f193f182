"""The command tree. Commands only parse; what they do is imported when they run, so that `--help` stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailrelay import __version__

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Thư mục cấu hình (mailrelay.toml, mailboxes.yaml, policies/). [MAILRELAY_CONFIG]"),
]
_LAST = 2**63 - 1  # the greatest id that a store gives

Destination = Annotated[
    str | None,
    typer.Option("--destination", help="Chặng tới: tên như trong danh sách, địa chỉ, hoặc tên miền. (Next hop)"),
]
Json = Annotated[bool, typer.Option("--json", help="In kết quả dạng JSON. (JSON output)")]

app = typer.Typer(
    name="mailrelay",
    help="Gửi, nhận văn bản điện tử qua thư. (Exchange of official documents by e-mail.)",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
log = typer.Typer(help="Nhật ký văn bản: tìm, liệt kê, xem. (The document log.)", no_args_is_help=True)
register = typer.Typer(help="Sổ văn bản đi, đến. (The register books.)", no_args_is_help=True)
queue = typer.Typer(help="Hàng đợi chuyển thư. (The delivery queue.)", no_args_is_help=True)
policy = typer.Typer(help="Quy tắc trong policies/. (The rule book.)", no_args_is_help=True)
keys = typer.Typer(help="Khóa OpenPGP của các cơ quan. (The agencies' OpenPGP keys.)", no_args_is_help=True)
app.add_typer(log, name="log")
app.add_typer(register, name="register")
app.add_typer(queue, name="queue")
app.add_typer(policy, name="policy")
app.add_typer(keys, name="keys")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="In số phiên bản. (Print the version)")] = False,
) -> None:
    if version:
        typer.echo(f"mailrelay {__version__}")
        raise typer.Exit


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Chạy kịch bản một lần rồi thoát. (Run once, print, exit)")
    ] = False,
    as_json: Json = False,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Nơi dựng cơ quan mẫu; mặc định: thư mục tạm. (Where the office is built)"),
    ] = None,
    store: Annotated[
        str,
        typer.Option("--store", help="Kho postgresql://… ; mặc định: SQLite trong thư mục đó. (Store, default SQLite)"),
    ] = "",
) -> None:
    """Dựng cả một cơ quan mẫu trên máy này và gửi văn bản thật qua nó. (A whole office on loopback.)"""
    from mailrelay.cli.demo.run import demonstrate

    raise SystemExit(demonstrate(folder, once=once, as_json=as_json, store=store))


@app.command()
def serve(
    config: Config = None,
    only: Annotated[
        str | None, typer.Option("--only", help="Chỉ chạy một phần. Cần PostgreSQL. (Run one part only)")
    ] = None,
) -> None:
    """Chạy dịch vụ. (Run the service until it is told to stop.)"""
    from mailrelay.cli.service import serve as run

    raise SystemExit(run(config, only))


@app.command()
def check(config: Config = None, as_json: Json = False) -> None:
    """Kiểm tra cấu hình; mỗi lỗi một dòng tệp:dòng:cột. Mã thoát 0 tốt, 1 có lỗi. (Check the configuration.)"""
    from mailrelay.cli.admin import check as run

    raise SystemExit(run(config, as_json=as_json))


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="Tệp thư .eml. (A mail file)")],
    sender: Annotated[str, typer.Option("--from", help="Người gửi phong bì. (Envelope sender)")],
    to: Annotated[list[str], typer.Option("--to", help="Người nhận; có thể lặp lại. (Recipients)")],
    login: Annotated[str | None, typer.Option("--login", help="Tài khoản đã đăng nhập. (Authenticated login)")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Nói trước điều gì sẽ xảy ra với một thư, không chuyển gì cả. (Dry run on the live engine.)"""
    from mailrelay.cli.explain import explain as run

    raise SystemExit(run(config, file, sender, to, login, as_json=as_json))


@app.command()
def trace(
    mail_id: Annotated[str | None, typer.Argument(help="Mã thư 26 ký tự. (Mail id)")] = None,
    message_id: Annotated[str | None, typer.Option("--message-id", help="Message-ID.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="SHA-256 của thư. (Digest of the mail)")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Toàn bộ đường đi của một thư. (The whole life of one mail.)"""
    from mailrelay.cli.audit import trace as run

    raise SystemExit(run(config, mail_id, message_id, sha256, as_json=as_json))


@log.command("search")
def log_search(
    text: Annotated[str, typer.Argument(help="Chữ cần tìm, có dấu hay không. (Words, with or without marks)")] = "",
    kind: Annotated[str | None, typer.Option("--kind", help="Loại sự kiện. (Kind of event)")] = None,
    agency: Annotated[str | None, typer.Option("--agency", help="Mã cơ quan. (Agency id)")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Từ ngày, dd/mm/yyyy hay yyyy-mm-dd.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Đến hết ngày. (Until the end of this day)")] = None,
    before: Annotated[
        int | None,
        typer.Option("--before", min=0, max=_LAST, help="Trang sau: các dòng trước số này. (Next page)"),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tìm trong nhật ký. (Search the document log.)"""
    from mailrelay.cli.audit import log_search as run

    raise SystemExit(run(config, text, kind, agency, since, until, before, limit, as_json=as_json))


@log.command("list")
def log_list(
    before: Annotated[
        int | None,
        typer.Option("--before", min=0, max=_LAST, help="Trang sau: các dòng trước số này. (Next page)"),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Các dòng mới nhất của nhật ký. (The newest rows.)"""
    from mailrelay.cli.audit import log_search as run

    raise SystemExit(run(config, "", None, None, None, None, before, limit, as_json=as_json))


@log.command("show")
def log_show(
    event: Annotated[int, typer.Argument(min=0, max=_LAST, help="Số dòng nhật ký. (Row id)")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Một dòng nhật ký. (One row.)"""
    from mailrelay.cli.audit import log_show as run

    raise SystemExit(run(config, event, as_json=as_json))


@register.command("list")
def register_list(
    agency: Annotated[str, typer.Option("--agency", help="Mã hoặc ký hiệu cơ quan. (Agency id or symbol)")],
    book: Annotated[str, typer.Option("--book", help="di | den (outgoing | incoming)")] = "incoming",
    year: Annotated[int | None, typer.Option("--year", min=1, max=9999, help="Năm; mặc định năm nay. (Year)")] = None,
    after: Annotated[int, typer.Option("--after", min=0, max=_LAST, help="Trang sau: sau mục số này. (Next page)")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Các mục của một sổ. (The entries of a book.)"""
    from mailrelay.cli.books import register_list as run

    raise SystemExit(run(config, agency, book, year, after, limit, as_json=as_json))


@register.command("show")
def register_show(
    entry: Annotated[int, typer.Argument(min=0, max=_LAST, help="Mã mục. (Entry id)")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Một mục và các trạng thái của nó. (One entry and its statuses.)"""
    from mailrelay.cli.books import register_show as run

    raise SystemExit(run(config, entry, as_json=as_json))


@register.command("accept")
def register_accept(
    entry: Annotated[int, typer.Argument(min=0, max=_LAST, help="Mã mục. (Entry id)")],
    note: Annotated[str, typer.Option("--note", help="Ghi chú. (Note)")] = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tiếp nhận, cho số đến (trạng thái 03). (Accept: the next incoming number.)"""
    from mailrelay.cli.books import register_accept as run

    raise SystemExit(run(config, entry, note, as_json=as_json))


@register.command("return")
def register_return(
    entry: Annotated[int, typer.Argument(min=0, max=_LAST, help="Mã mục. (Entry id)")],
    reason: Annotated[str, typer.Option("--reason", help="Lý do, bắt buộc. (Reason)")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Trả lại văn bản, nêu lý do (trạng thái 02). (Return with a reason.)"""
    from mailrelay.cli.books import register_return as run

    raise SystemExit(run(config, entry, reason, as_json=as_json))


@queue.command("list")
def queue_list(
    state: Annotated[list[str] | None, typer.Option("--state", help="Chỉ trạng thái này. (Only this state)")] = None,
    destination: Destination = None,
    after: Annotated[int, typer.Option("--after", min=0, max=_LAST, help="Trang sau. (Next page)")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Những gì đang chờ: gửi lại lúc nào, vì sao. (What waits and why.)"""
    from mailrelay.cli.queue import queue_list as run

    raise SystemExit(run(config, state, destination, after, limit, as_json=as_json))


@queue.command("show")
def queue_show(
    dispatch: Annotated[int, typer.Argument(min=0, max=_LAST, help="Số lượt gửi. (Dispatch id)")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Một lượt gửi và mọi lần thử. (One dispatch and every try.)"""
    from mailrelay.cli.queue import queue_show as run

    raise SystemExit(run(config, dispatch, as_json=as_json))


@queue.command("retry")
def queue_retry(
    dispatches: Annotated[
        list[int] | None, typer.Argument(min=0, max=_LAST, help="Các số lượt gửi. (Dispatch ids)")
    ] = None,
    destination: Destination = None,
    everything: Annotated[bool, typer.Option("--all", help="Mọi thứ đang chờ. (All that waits)")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Gửi lại ngay: từng lượt, mọi thứ đến một chặng, hoặc tất cả. (Try again now.)"""
    from mailrelay.cli.queue import queue_retry as run

    raise SystemExit(run(config, dispatches or [], destination, everything, as_json=as_json))


@queue.command("explain")
def queue_explain(
    dispatch: Annotated[int, typer.Argument(min=0, max=_LAST, help="Số lượt gửi. (Dispatch id)")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Vì sao một lượt gửi còn chờ, đến bao giờ, chặng tới ra sao. (Why a dispatch waits.)"""
    from mailrelay.cli.queue import queue_explain as run

    raise SystemExit(run(config, dispatch, as_json=as_json))


@queue.command("shape")
def queue_shape(config: Config = None, as_json: Json = False) -> None:
    """Tuổi của hàng đợi theo chặng tới, như qshape của Postfix. (Age of what waits, by next hop.)"""
    from mailrelay.cli.queue import queue_shape as run

    raise SystemExit(run(config, as_json=as_json))


@queue.command("release")
def queue_release(
    mail_id: Annotated[str, typer.Argument(help="Mã thư. (Mail id)")],
    recipient: Annotated[str | None, typer.Option("--recipient", help="Chỉ người nhận này. (Only this one)")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Cho một thư đang tạm giữ đi tiếp. (Release a held mail.)"""
    from mailrelay.cli.queue import queue_release as run

    raise SystemExit(run(config, mail_id, recipient, as_json=as_json))


@queue.command("return")
def queue_return(
    mail_id: Annotated[str, typer.Argument(help="Mã thư. (Mail id)")],
    reason: Annotated[str, typer.Option("--reason", help="Lý do, bắt buộc. (Reason)")],
    recipient: Annotated[str | None, typer.Option("--recipient", help="Chỉ người nhận này. (Only this one)")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Không chuyển một thư đang tạm giữ; người gửi được báo lý do. (Do not deliver a held mail; the sender is told.)"""
    from mailrelay.cli.queue import queue_return as run

    raise SystemExit(run(config, mail_id, recipient, reason, as_json=as_json))


@keys.command("import")
def keys_import(
    file: Annotated[Path, typer.Argument(help="Tệp khóa công khai. (A file of public keys)")],
    agency: Annotated[str, typer.Option("--agency", help="Mã hoặc ký hiệu cơ quan. (Agency id or symbol)")],
    other_addresses: Annotated[
        bool, typer.Option("--other-addresses", help="Nhận cả khóa mang địa chỉ ngoài cơ quan. (Foreign addresses too)")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Chỉ xem, không nhập. (Look only)")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Xem rồi nhập khóa công khai vào chùm khóa của một cơ quan. (Import public keys.)"""
    from mailrelay.cli.keys import keys_import as run

    raise SystemExit(run(config, file, agency, other_addresses=other_addresses, dry_run=dry_run, as_json=as_json))


@keys.command("list")
def keys_list(
    agency: Annotated[str | None, typer.Option("--agency", help="Chỉ cơ quan này. (Only this agency)")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Các khóa đang có, hạn dùng và tình trạng. (The keys, their expiry and state.)"""
    from mailrelay.cli.keys import keys_list as run

    raise SystemExit(run(config, agency, as_json=as_json))


@keys.command("expire")
def keys_expire(
    fingerprint: Annotated[str, typer.Argument(help="Vân tay, hoặc ít nhất 16 chữ số cuối. (Fingerprint)")],
    agency: Annotated[str, typer.Option("--agency", help="Mã hoặc ký hiệu cơ quan. (Agency id or symbol)")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Từ nay thôi dùng một khóa; chữ ký cũ vẫn xét được. (Give a key up from now on.)"""
    from mailrelay.cli.keys import keys_expire as run

    raise SystemExit(run(config, fingerprint, agency, as_json=as_json))


@queue.command("suspended")
def queue_suspended(config: Config = None, as_json: Json = False) -> None:
    """Tài khoản đang bị tạm ngừng gửi ra ngoài, đến khi nào. (Logins that may not send to the outside now.)"""
    from mailrelay.cli.suspensions import queue_suspended as run

    raise SystemExit(run(config, as_json=as_json))


@queue.command("lift")
def queue_lift(
    login: Annotated[str, typer.Argument(help="Tên đăng nhập hoặc địa chỉ. (Login or address)")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Cho một tài khoản bị tạm ngừng gửi lại ngay; những gì đã gửi không tính nữa. (Lift the suspension of a login.)"""
    from mailrelay.cli.suspensions import queue_lift as run

    raise SystemExit(run(config, login, as_json=as_json))


@policy.command("test")
def policy_test(config: Config = None, as_json: Json = False) -> None:
    """Chạy các phép thử ghi trong policies/. Mã thoát 0 đạt, 1 không đạt. (Run the rule book's own tests.)"""
    from mailrelay.cli.admin import policy_test as run

    raise SystemExit(run(config, as_json=as_json))


def main() -> None:
    """Entry point of the `mailrelay` command."""
    try:
        app()
    except OSError as error:  # of our own output, or of a disk that fails under a command
        from mailrelay.cli.output import fail, say

        fail(say(f"Không làm được: {error}", f"not possible: {error}"))


if __name__ == "__main__":
    main()
