# Each target is a thin line over a tool. `make run` and `make test` set up everything they need.
.PHONY: run test quick prove prove-c laws breakages vectors fuzz fuzz-c fuzz-kernels bench bench-quick bench-counts bench-steps l2fwd docs lint setup clean help

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

run: setup          ## the main job: generate the vectors again and compare, prove, run every target, print the verdict
	$(BIN)/gpaspec run $(ARGS)

test: setup lint    ## everything that must hold: lint, types, all tests, also with a real kernel
	$(BIN)/pytest -n 2 --durations=40 $(ARGS)

quick: setup lint   ## the inner loop, under a minute: no kernels, no long searches
	$(BIN)/pytest -n 2 -m "not slow and not vm" $(ARGS)

prove: setup        ## the theorems only
	$(BIN)/gpaspec prove $(ARGS)

prove-c: setup      ## proofs about the C library: bounded model checking with CBMC, object code against the specification
	$(BIN)/python -m conformance.targets.c.verifying $(ARGS)

laws: setup         ## what holds after any operations, tried with values that CrossHair chooses (about ten minutes)
	GPASPEC_LAWS=crosshair $(BIN)/pytest -n 2 tests/spec/test_laws.py tests/spec/test_vhost_laws.py \
		tests/spec/test_range_laws.py $(ARGS)

breakages: setup    ## break spec, models and C by hand, and ask which theorem notices: docs/breakages.md (minutes)
	$(BIN)/python -m tests.breakages --page $(ARGS)

vectors: setup      ## write the vectors anew from the specification
	$(BIN)/gpaspec generate $(ARGS)

fuzz: setup         ## a million random operations: model, C library, the kernel's own source
	$(BIN)/gpaspec fuzz --operations 1000000 $(ARGS)

fuzz-c: setup       ## a million random operations on libgpamap beside a naive model, under sanitizers
	$(BIN)/python -m conformance.targets.c.fuzzing --operations 1000000 --jobs 2 $(ARGS)

fuzz-kernels: setup ## a hundred thousand random operations on each booted kernel
	$(BIN)/gpaspec fuzz linux --kernel 5.10 --kernel 6.1 --kernel 6.12 --kernel 7.2 --operations 100000 $(ARGS)

l2fwd: setup        ## the forwarding experiment: hits, misses and retirements of an IOTLB, as table and plot
	$(BIN)/python -m bench.l2fwd $(ARGS)

bench: setup        ## the C library beside other address maps: tables, plots and targets (minutes; out/bench/)
	@./tools/setup bench
	$(BIN)/python -m bench.maps $(ARGS)

bench-quick: setup  ## a sample of that, in about a minute
	@./tools/setup bench
	$(BIN)/python -m bench.maps --quick $(ARGS)

bench-counts: setup ## instructions, misses and allocations of lookups and changes, into docs/bench/ and docs/bench.md
	@./tools/setup bench
	$(BIN)/python -m bench.maps --subjects instructions --docs $(ARGS)

bench-steps: setup  ## how many vector steps a minute a kernel in a virtual machine does
	$(BIN)/python -m bench.linux_steps $(ARGS)

docs: setup         ## write docs/theorems.md anew
	$(BIN)/python -m proofs.document

lint: setup         ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.ready  ## Python packages, compilers, QEMU: what the rest needs (the others do this first)
	@./tools/setup system

$(VENV)/.ready: pyproject.toml tools/setup
	@./tools/setup python $(VENV)

clean:              ## what was built here; caches of kernels stay in the XDG cache directory
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .hypothesis

help:               ## this list; ARGS="..." hands options on, for example make prove ARGS=--fresh
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16
