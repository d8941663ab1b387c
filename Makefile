# The one door for people. `make` tells what there is.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
BUILD := build
NINJA := ninja
ADDRESS ?= 127.0.0.1:9428
DATA ?= ./quell-data

.PHONY: help build page demo serve test unit sanitize threads e2e lint format bench fuzz coverage clean

help: ## show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup-build:
	@tools/setup build
setup-test:
	@tools/setup test
setup-bench:
	@tools/setup bench
setup-coverage:
	@tools/setup coverage
setup-lint:
	@tools/setup lint
.PHONY: setup-build setup-test setup-bench setup-coverage setup-lint

page: setup-build ## build the web page (ui/dist), if its sources changed
	@tools/page

$(BUILD)/build.ninja: | setup-build
	@meson setup $(BUILD) >/dev/null

build: setup-build page $(BUILD)/build.ninja ## build build/quell with the page inside
	@$(NINJA) -C $(BUILD) quell examples/shop/shop | tail -1

demo: build ## the whole story in under two minutes: a shop, a leak, an incident, a guarded fix
	@$(BUILD)/quell demo

serve: build ## run the daemon with its page (ADDRESS=127.0.0.1:9428 DATA=./quell-data)
	@$(BUILD)/quell serve --listen $(ADDRESS) --data $(DATA)

test: setup-test build ## everything that must hold: units, fuzz corpora, sanitizers, real clients and servers
	@tools/test

unit: setup-test build ## unit tests and fuzz corpora only
	@$(NINJA) -C $(BUILD) | tail -1 && meson test -C $(BUILD) --no-rebuild --print-errorlogs

e2e: setup-test build ## real clients and servers against build/quell
	@tests/e2e/run $(BUILD)/quell

lint: setup-lint build ## layers between folders, and clang's warnings on every C file
	@python3 tests/layers/layers.py . && tools/lint

format: setup-lint ## clang-format the C files that differ from the last commit
	@git diff --name-only --diff-filter=d HEAD -- '*.c' '*.h' | xargs -r clang-format -i

bench: setup-bench build ## CPU a sample and bytes a series, side by side with peers
	@bench/run && bench/instructions

fuzz: setup-test ## every fuzzer under libFuzzer with sanitizers (SECONDS_EACH=60)
	@tools/fuzz

coverage: setup-coverage ## line coverage of the unit tests (build-coverage/)
	@tools/coverage

clean: ## remove what was built
	@rm -rf build build-* ui/dist
