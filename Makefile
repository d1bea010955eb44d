# The one door: `make` lists what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo up down test build fmt lint setup kafka bench-module bench-edge bench-worker bench-peers bench-growth ladder fuzz chaos simulate mutants screenshots dist install deb clean

# Where cargo puts programs; CARGO_TARGET_DIR moves it. What is shipped, and measured, is optimized as
# a whole, which takes minutes more of compiling than tests and a demo need.
bin := $(or $(CARGO_TARGET_DIR),target)/release
dist := $(or $(CARGO_TARGET_DIR),target)/dist

# Where tools are installed that are no part of the project.
tools := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/seckill

# CL.THROTTLE, to compare with: where `scripts/setup.sh peers` leaves it.
cell := $(tools)/redis-cell/release/libredis_cell.so

# `Cargo.lock` is what was tested: nothing here changes it.
cargo := cargo --locked

# The crates of pure rules: tested with debug assertions and overflow checks, and quickly.
pure := protocol sale orders simulator
packages = $(pure:%=-p seckill-%)
excluded = $(pure:%=--exclude seckill-%)
real = $(cargo) test --quiet --release --workspace $(excluded)

# $(call build_shipped,crates): builds them as they are shipped.
define build_shipped
@echo "== build, as it is shipped: minutes, once"
@$(cargo) build --quiet --profile dist $(addprefix -p seckill-,$(1))
endef

# Where the tests of properties begin: a commit that passed passes again. `make fuzz` begins elsewhere.
test: export PROPTEST_RNG_SEED ?= 1

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build kafka ## One sale on private servers: BUYERS=300 STOCK=100 TRIES=3 BROKER=auto CLUSTER=1 KILL="redis worker"
	@scripts/setup.sh run
	@$(bin)/seckill-demo run

up: build kafka ## Start everything and leave it running, in .run/
	@scripts/setup.sh run
	@$(bin)/seckill-demo up

down: ## Stop what `make up` started; its data stays
	@$(bin)/seckill-demo down

test: setup kafka ## Everything that has to pass: format, lints, all tests
	@echo "== format"
	@cargo fmt --all --check
	@$(MAKE) --no-print-directory lint build
	@echo "== tests of the rules, with every check on"
	@$(cargo) test --quiet $(packages)
	@echo "== the rules, given bytes that nobody wrote"
	@scripts/fuzz.sh short
	@echo "== tests on real servers"
	@$(real) -- --test-threads=2
	@for mode in aof replica cluster; do \
		echo "== tests of the module once more, in mode $$mode"; \
		SECKILL_TEST_MODE=$$mode $(real) --test module -- --test-threads=4 || exit; \
	done
	@echo "== the package"
	@scripts/check-package.sh $(bin)

build: ## Compile everything
	@scripts/setup.sh build
	@echo "== build"
	@$(cargo) build --quiet --release --workspace

fmt: ## Format the code
	@cargo fmt --all

lint: ## Clippy, where a warning is an error
	@scripts/setup.sh build
	@echo "== lint"
	@$(cargo) clippy --quiet --release --workspace --all-targets -- -D warnings
	@$(cargo) clippy --quiet --release -p seckill-fuzz --features targets --all-targets -- -D warnings

setup: ## Install what building and running need (Debian)
	@scripts/setup.sh build
	@scripts/setup.sh run
	@scripts/setup.sh ladder
	@scripts/setup.sh browser
	@scripts/setup.sh package

kafka: ## Fetch Apache Kafka, once; without it the rest works
	@scripts/kafka.sh || [ $$? -eq 3 ]

bench-module: ## What a decision costs in Redis: QUICK=1 ONLY=memory,load OUT=file.json PROFILE=try-accepted
	@scripts/setup.sh build
	@scripts/setup.sh bench
	$(call build_shipped,module bench)
	@$(dist)/seckill-bench module $(if $(QUICK),--quick) $(OUT:%=--out "%") $(PROFILE:%=--profile "%") $(ONLY:%=--only "%")

bench-edge: ## What a rejection costs at the edge, beside nginx: QUICK=1 ONLY=full,idle OUT=file.json
	@scripts/setup.sh build
	@scripts/setup.sh bench
	$(call build_shipped,module proxy bench)
	@$(dist)/seckill-bench edge $(if $(QUICK),--quick) $(OUT:%=--out "%") $(ONLY:%=--only "%")

bench-worker: kafka ## How quickly acceptances become orders: QUICK=1 ONLY=rate,delay,memory OUT=file.json
	@scripts/setup.sh build
	@scripts/setup.sh run
	$(call build_shipped,module worker bench)
	@$(dist)/seckill-bench worker $(if $(QUICK),--quick) $(OUT:%=--out "%") $(ONLY:%=--only "%")

bench-peers: ## This system beside what a good team builds without it: QUICK=1 OUT=file.json
	@scripts/setup.sh build
	@scripts/setup.sh bench
	@scripts/setup.sh peers
	$(call build_shipped,module proxy bench)
	@$(dist)/seckill-bench peers $(if $(QUICK),--quick) $(OUT:%=--out "%") $(if $(wildcard $(cell)),--cell "$(cell)")

bench-growth: ## How cost grows: QUICK=1 ONLY=buyers,stock,sales,connections,orders OUT=file.json
	@scripts/setup.sh build
	@scripts/setup.sh run
	@scripts/setup.sh bench
	$(call build_shipped,module proxy worker bench)
	@$(dist)/seckill-bench growth $(if $(QUICK),--quick) $(OUT:%=--out "%") $(ONLY:%=--only "%")

ladder: kafka ## A shop that oversells, step by step up to this system: BUYERS="300 2000 20000" STOCK=100 ROUNDS=3 ONLY="0 6" OUT=file.json
	@scripts/setup.sh build
	@scripts/setup.sh run
	@scripts/setup.sh ladder
	$(call build_shipped,module proxy worker ladder)
	@$(dist)/seckill-ladder run

fuzz: kafka ## Look for what breaks rules or programs: SECONDS_EACH=600 TARGET=payload|snapshot|commands|events|proxy|module|worker
	@scripts/setup.sh build
	@scripts/setup.sh run
	@echo "== build"
	@$(cargo) build --quiet --release -p seckill-module -p seckill-proxy -p seckill-worker -p seckill-attack
	@echo "== tests of properties, from another seed than make test's"
	@$(cargo) test --quiet $(packages)
	@scripts/fuzz.sh long $(or $(SECONDS_EACH),600) $(TARGET)

chaos: kafka ## Break a sale again and again, and have the oracle judge it: ROUNDS=10 SEED=1 BUYERS=3000
	@scripts/setup.sh build
	@scripts/setup.sh run
	@echo "== build"
	@$(cargo) build --quiet --release -p seckill-module -p seckill-proxy -p seckill-worker -p seckill-sample-shop -p seckill-chaos
	@$(bin)/seckill-chaos

simulate: ## Play the rules against everything that goes wrong: SEEDS=10000 STEPS=3000, or SEED=7 TRACE=1 UNTIL=99 WITHOUT=shop
	@scripts/setup.sh build
	@$(cargo) build --quiet --release -p seckill-simulator
	@$(bin)/seckill-simulator $(SEED:%=--seed %) $(SEEDS:%=--seeds %) $(STEPS:%=--steps %) \
		$(UNTIL:%=--until %) $(WITHOUT:%=--without %) $(if $(TRACE),--trace)

mutants: export PROPTEST_RNG_SEED ?= 1
mutants: ## Break the rules of a sale one by one, and see a test fail: FILE=sale/src/decide.rs
	@scripts/setup.sh build
	@scripts/setup.sh mutants
	@PATH="$(tools)/bin:$$PATH" CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_PROFILE_DEV_OPT_LEVEL=1 \
		cargo mutants -p seckill-sale $(FILE:%=-f %) -o "$(or $(CARGO_TARGET_DIR),target)"

screenshots: ## Look at the dashboard and at the buyer's page in a browser, and keep pictures in docs/dashboard/ and docs/shop/
	@scripts/setup.sh build
	@scripts/setup.sh run
	@scripts/setup.sh browser
	@echo "== build"
	@$(cargo) build --quiet --release -p seckill-module -p seckill-proxy -p seckill-worker -p seckill-sample-shop
	@SECKILL_PICTURES="$(CURDIR)/docs/dashboard" $(cargo) test --quiet --release -p seckill-worker --test worker browser::
	@SECKILL_PICTURES="$(CURDIR)/docs/shop" $(cargo) test --quiet --release -p seckill-demo --test shop mode_queue

dist: ## Compile what is installed, as quick as it gets
	@scripts/setup.sh build
	$(call build_shipped,module proxy worker load)

install: dist ## Install programs, module, configurations and units: PREFIX=/usr/local DESTDIR= SYSCONF=/etc UNITS=/etc/systemd/system
	@scripts/install.sh $(dist)

deb: dist ## Make a package for Debian in this folder: OUT=.
	@scripts/setup.sh package
	@scripts/deb.sh $(dist) $(or $(OUT),.)

clean: ## Delete what was compiled
	@cargo clean --quiet
