# mailrelay. `make` alone prints this list.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
PATHS := mailrelay tests tools

.PHONY: help setup run test lint format quick engines bench crash soak docs locks clean

help:  ## danh sách lệnh / this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup:  ## chuẩn bị máy để chạy và kiểm thử / packages and .venv for running and testing
	@tools/setup.sh test

run:  ## chuẩn bị rồi chạy cả một văn phòng mẫu trên máy này / set up, then a whole office on loopback (Ctrl-C ends it)
	@tools/setup.sh run
	@$(BIN)/mailrelay demo

test: setup lint  ## chuẩn bị, kiểm tra mã, chạy mọi phép thử / set up, lint, run every test
	@$(BIN)/python -m pytest

lint: setup  ## định dạng, kiểu, các bức tường / format, types, walls
	@$(BIN)/ruff check $(PATHS)
	@$(BIN)/ruff format --check $(PATHS)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: setup  ## sửa định dạng / rewrite in the house's format
	@$(BIN)/ruff check --fix $(PATHS)
	@$(BIN)/ruff format $(PATHS)

quick: setup  ## phép thử nhanh, không máy chủ thật / tests without real servers
	@$(BIN)/python -m pytest -m "not e2e and not crash"

engines: setup  ## mọi phép thử cả dịch vụ, trên PostgreSQL / every test of whole services, on PostgreSQL
	@$(BIN)/python -m pytest --engine postgresql tests/e2e tests/pipeline tests/daemon

bench: setup  ## đo tốc độ, bộ nhớ; LONG=1: lâu hơn; BENCH_DIR=…: cả các hệ khác / speed and memory, see docs/performance.md
	@$(BIN)/python -m tests.load $(if $(LONG),--long) $(if $(BENCH_DIR),--harness $(BENCH_DIR))

crash: setup  ## làm sập hàng trăm lần dưới tải, MAILS=10000; cần root để cắt điện / crash it for a long time, as root with power cuts
	@$(BIN)/python -m tests.crash $(if $(MAILS),--mails $(MAILS)) $(if $(SEED),--seed $(SEED))

soak: setup  ## 50.000 thư và tệp bị làm biến dạng qua bộ kiểm tra, MAILS=…, SEED=… / 50,000 mutated mails and files
	@$(BIN)/python -m tests.soak $(if $(MAILS),--mails $(MAILS)) $(if $(SEED),--seed $(SEED))

docs: setup  ## viết lại các trang tra cứu trong docs/ từ mã nguồn / rewrite the reference pages from the code
	@$(BIN)/python tools/write_docs.py

locks: setup  ## thử cài mọi gói đã khóa trên Python 3.11 và 3.13 / prove the locks (slow)
	@tools/prove-lock.sh

clean:  ## xóa những gì tạo ra được lại / remove what can be made again
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
