# Each target is a thin line over a tool. `make run` and `make test` set up everything they need.
.PHONY: run test quick prove prove-c vectors fuzz fuzz-c fuzz-kernels bench bench-quick bench-steps l2fwd docs lint setup clean help

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

run: setup          ## the main job: prove, generate, run every target, print the verdict
	$(BIN)/gpaspec run $(ARGS)

test: setup lint    ## everything that must hold: lint, types, all tests, also with a real kernel
	$(BIN)/pytest -n 2 $(ARGS)

quick: setup lint   ## the inner loop, under a minute: no kernels, no long searches
	$(BIN)/pytest -n 2 -m "not slow and not vm" $(ARGS)

prove: setup        ## the theorems only
	$(BIN)/gpaspec prove $(ARGS)

prove-c: setup      ## the C library itself: bounded model checking with CBMC, planted bugs refuted
	$(BIN)/python -m conformance.targets.c.verifying $(ARGS)

vectors: setup      ## write the vectors anew from the spec
	$(BIN)/gpaspec generate $(ARGS)

fuzz: setup         ## a million random operations: model, C library, the kernel's own source
	$(BIN)/gpaspec fuzz --operations 1000000 $(ARGS)

fuzz-c: setup       ## a million random operations on libgpamap beside a naive model, under sanitizers
	$(BIN)/python -m conformance.targets.c.fuzzing --operations 1000000 --jobs 2 $(ARGS)

fuzz-kernels: setup ## a hundred thousand random operations on each booted kernel
	$(BIN)/gpaspec fuzz linux --kernel 5.10 --kernel 6.1 --kernel 6.12 --kernel 7.2 --operations 100000 $(ARGS)

l2fwd: setup        ## the forwarding experiment: hits, misses and retirements of an IOTLB, as table and plot
	$(BIN)/python -m bench.l2fwd $(ARGS)

bench: setup        ## guest address maps side by side: tables, plots and targets (minutes; out/bench/)
	@./tools/setup bench
	$(BIN)/python -m bench.maps $(ARGS)

bench-quick: setup  ## a sample of that, in a minute
	@./tools/setup bench
	$(BIN)/python -m bench.maps --quick $(ARGS)

bench-steps: setup  ## how many vector steps a minute the targets do
	$(BIN)/python -m bench.linux_steps $(ARGS)

docs: setup         ## write the page of theorems anew
	$(BIN)/python -m proofs.document

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.ready
	@./tools/setup system

$(VENV)/.ready: pyproject.toml tools/setup
	@./tools/setup python $(VENV)

clean:              ## what was built here; caches of kernels stay in the XDG cache directory
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .hypothesis

help:
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'
