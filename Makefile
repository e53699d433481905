# What a newcomer types. Every target installs what it misses first (scripts/setup) and works as root or with sudo.
export PATH := $(HOME)/.cargo/bin:$(CURDIR)/build/node/bin:$(PATH)
SHELL := /bin/bash
.DEFAULT_GOAL := help
# What cargo-deny looks at; without advisories it needs no network.
DENY ?= advisories bans licenses sources
# How long each fuzz target runs.
SECONDS_EACH ?= 60
.PHONY: help demo clean-demo run test test-layering check fuzz bench console test-console screenshots

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## The whole job on a real Debian disk; leaves the server running
	scripts/setup demo
	cargo build --release -p shale-server -p shale-cli -p shale-volume
	scripts/guest-tools linux
	scripts/demo

clean-demo: ## Stop the demo's server and delete its data
	scripts/demo --clean

run: ## Build and run the server with its data in build/shale
	scripts/setup demo
	cargo build --release -p shale-volume
	scripts/guest-tools linux
	cargo run --release -p shale-server -- serve --data build/shale

test: ## Every test: of the programs, then of the console in a browser, whatever came of the first
	scripts/setup test
	scripts/setup browser
	status=0; \
	$(MAKE) console || status=$$?; \
	cargo test --workspace --features shale-server/embed-console --no-fail-fast || status=$$?; \
	(cd console && npm run e2e) || status=$$?; \
	exit $$status

test-layering: ## Of these, layers made, put together and published in real machines on a Debian disk that it makes
	scripts/setup test
	cargo build -p shale-server -p shale-cli -p shale-volume --bins
	cargo test -p shale-tests --test machines layering

check: ## Format, lints, licences and advisories, shell scripts
	scripts/setup check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo deny --log-level warn check $(DENY)
	shellcheck scripts/setup scripts/demo scripts/make-debian-disk scripts/make-corpus scripts/bench scripts/debian-mirrors scripts/guest-tools .ci/run

fuzz: ## Every parser of what others wrote, a minute each
	scripts/setup fuzz
	cargo build --release -p shale-volume
	for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(SECONDS_EACH) -rss_limit_mb=1024 || exit 1; done

bench: ## Speed, size and memory against other tools, on a corpus it builds
	scripts/setup bench
	cargo build --release -p shale-server -p shale-cli -p shale-volume
	cargo build --release -p shale-connector --example xenserver_bench -p shale-server --example console_bench \
		-p shale-volume --example volume_bench
	scripts/bench

console: ## Build the web console into console/dist, which the server holds
	scripts/setup console
	cd console && npm ci && npm run check && npm run build

test-console: console ## The console, driven through a real server and real machines by Chromium
	scripts/setup test
	scripts/setup browser
	cargo build -p shale-server -p shale-cli -p shale-volume -p shale-xapi-sim --features shale-server/embed-console
	cd console && npm run e2e

screenshots: console ## Pictures of every page of the console, from a real server, into console/e2e/shots
	scripts/setup test
	scripts/setup browser
	cargo build -p shale-server -p shale-cli
	cd console && npm run screenshots
