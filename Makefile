# The developer's doors. `make demo` shows the engine at work; `make test` proves it.

EVENTS ?= 1000000
SEED ?= 42

# Examples and benchmarks are packages of their own; sharing one build folder compiles the engine once.
EXAMPLES := --package-path Examples --scratch-path .build
# A build with another trait compiles everything anew: it has a folder of its own.
POSTGRES := --traits Postgres --scratch-path .build/postgres
ROCKSDB := --traits RocksDB --scratch-path .build/rocksdb
SOURCES := $(wildcard Sources Tests Examples Benchmarks Fuzz)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-postgres test-rocksdb test-tsan kill-test stop-test mutants fuzz checks bench lint format docs clean

help: ## Lists the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Installs what is missing (Debian packages); quick when all is there.
	@scripts/setup.sh

demo: setup ## Builds release, generates Nexmark events and runs the hot-items job over them.
	swift build -c release --product thalweg
	swift build -c release --product hot-items $(EXAMPLES)
	scripts/demo.sh $(EVENTS) $(SEED)

test: setup ## Runs every test.
	swift build --build-tests
	swift test --skip-build --parallel
	@if [ -f Examples/Package.swift ]; then set -x; swift test --parallel $(EXAMPLES); fi
	$(MAKE) test-postgres
	$(MAKE) test-rocksdb

test-postgres: ## Runs the tests of PostgreSQL, and the example with it, with servers of their own.
	@scripts/setup.sh libpq-dev postgresql
	swift build --build-tests $(POSTGRES)
	swift test --skip-build --filter PostgresTests $(POSTGRES)
	swift build --product enrich-table --package-path Examples $(POSTGRES)
	scripts/postgres-example.sh .build/postgres/debug/enrich-table

test-rocksdb: ## Runs the tests of backends of keyed state with RocksDB among them, and kills jobs that use it.
	@scripts/setup.sh librocksdb-dev
	swift build --build-tests $(ROCKSDB)
	swift test --skip-build --filter BackendTests $(ROCKSDB)
	scripts/kill-test.py --thalweg .build/rocksdb/debug/thalweg --kills 4 --query q5,q18 --parallelism 1,2 --events 30000 \
		--options "--state-backend rocksdb --state-memory 256KiB"

test-tsan: setup ## Runs the runtime's tests under the thread sanitizer.
	scripts/test-tsan.sh RuntimeTests

# q12 counts by processing time: two runs of it are never equal.
KILL_QUERIES := q0,q1,q2,q3,q4,q5,q7,q8,q9,q11,q14,q15,q16,q17,q18,q19,q20,q21,q22

# Those that keep keyed state; with so little memory rows of q4, q9 and q18 rest in files.
KILL_STATEFUL := q4,q5,q7,q8,q9,q11,q18

kill-test: setup ## Kills jobs 319 times, for each query, over a thousand files, with state in files; compares outputs.
	swift build -c release --product thalweg
	scripts/kill-test.py --kills 11 --parallelism 1,3,2 --query $(KILL_QUERIES)
	scripts/kill-test.py --kills 20 --parallelism 1,3,2 --query q0,q5 --splits 1000 --interval 30ms
	scripts/kill-test.py --kills 10 --parallelism 1,3,2 --query $(KILL_STATEFUL) --options '--state-memory 512KiB'

stop-test: setup ## Stops jobs 100 times, kills them while they stop, and kills one with two outputs and calls elsewhere.
	swift build -c release --product thalweg
	swift build -c release --product pricing $(EXAMPLES)
	scripts/kill-test.py --stop --kills 50 --query q5,q11 --parallelism 1,3,2 --events 1000000 --within 0.5
	scripts/kill-test.py --stop-then-kill --kills 20 --query q5,q11 --parallelism 1,3,2 --events 1000000 --within 0.5
	scripts/kill-test.py --kills 8 --query q0 --splits 16 --parallelism 4,6,3,16 --events 1000000 --within 0.2
	for order in ordered unordered key-ordered; do scripts/kill-test.py --kills 20 --parallelism 4,7,2 --header \
		--records 40000 $$([ $$order = key-ordered ] && echo --in-order priced:0:1) --command ".build/release/pricing \
		--orders 40000 --order $$order --output {out}/priced/ --rejected {out}/rejected/" || exit 1; done

mutants: setup ## Plants bugs in the engine itself, one at a time: the simulator has to find each.
	scripts/mutants.py

FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= segment snapshot rows csv json expression

fuzz: setup ## Looks for bytes that the readers of foreign ones cannot take: FUZZ_SECONDS (600) for each of six targets.
	scripts/fuzz.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

CHECKS ?= async ttl ttl-cost union cancel failures stop snapshots runs

checks: setup ## Measures bounds that the documentation gives; CHECKS names some of them.
	swift build -c release --product thalweg-bench --package-path Benchmarks --scratch-path .build
	@failed=; for check in $(CHECKS); do echo "== $$check"; .build/release/thalweg-bench check $$check || failed="$$failed $$check"; \
	done; test -z "$$failed" || { echo "missed:$$failed"; exit 1; }

bench: setup ## Measures the engine side by side with Flink, then what side outputs and hand-over cost.
	swift build -c release --product thalweg
	swift build -c release --product thalweg-bench --package-path Benchmarks --scratch-path .build
	python3 Benchmarks/bench.py
	.build/release/thalweg-bench check

lint: setup ## Checks the format, and builds with warnings as errors.
	swift format lint --strict -r $(SOURCES)
	swift build --build-tests --scratch-path .build/lint -Xswiftc -warnings-as-errors

format: ## Formats the sources in place.
	swift format -i -r $(SOURCES)

docs: setup ## Writes the documentation to out/docs.
	scripts/docs.sh

clean: ## Removes everything that was built or written.
	rm -rf .build out Examples/.build Benchmarks/.build
