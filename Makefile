# Every target sets up what it needs by itself (scripts/setup). Start with `make demo`.

KURA_DIR ?= kura-vault
NAME ?= all
BIN = .venv/bin
# Real scans, video and speech, where they lie beside the project; without them the demo brings its own.
SAMPLES = $(wildcard ../shared/data)

.PHONY: help demo demo-engines run test test-engines check bench format setup-demo setup-engines setup-test setup-bench

help:
	@echo "make demo    a vault with sample records, made, used and checked before your eyes"
	@echo "make demo-engines  the same on PostgreSQL, an S3 engine and an HSM in software, all started here"
	@echo "make run     serve the vault in KURA_DIR (default: kura-vault, made as a demo where it is missing)"
	@echo "make test    the checks, then every test on SQLite, folders and key files"
	@echo "make test-engines  what touches rows, objects or keys, on PostgreSQL, an S3 engine and an HSM"
	@echo "make check   format, lint, types and the layers; seconds"
	@echo "make bench   the measurements of docs/performance.md; one alone: make bench NAME=ingest-pdf"
	@echo "make format  let the formatter and the safe fixes rewrite the code"

demo: setup-demo
	@$(BIN)/kura demo $(if $(SAMPLES),--samples $(SAMPLES))

demo-engines: setup-engines
	@$(BIN)/kura demo --engines $(if $(SAMPLES),--samples $(SAMPLES))

run: setup-demo
	@test -d "$(KURA_DIR)" || $(BIN)/kura demo --dir "$(KURA_DIR)"
	@KURA_DIR="$(KURA_DIR)" $(BIN)/kura serve

test: check
	@$(BIN)/pytest -q -n 2

test-engines: check
	@$(BIN)/pytest -q -n 2 --world engines

check: setup-test
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: setup-bench
	@$(BIN)/python -m bench $(NAME)

format: setup-test
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

setup-demo:
	@scripts/setup demo

setup-engines:
	@scripts/setup engines

setup-test:
	@scripts/setup test

setup-bench:
	@scripts/setup bench
