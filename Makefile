# Needs make and Python >= 3.11, nothing else: everything is installed into .venv (by uv if present, else by pip).

VENV ?= .venv
BIN = $(VENV)/bin
PYTEST_ARGS ?=
DEMO = baghdad-2020-11-17

.DEFAULT_GOAL := help
.PHONY: help install demo demo-sirens live vendor pictures test lint accuracy bench salvos raids mutants study \
        innocent-sky soak overload incidents examples clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

$(VENV)/.installed: pyproject.toml scripts/make-venv.sh
	@echo "Installing into $(VENV) ..."
	@sh scripts/make-venv.sh $(VENV)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml scripts/make-venv.sh
	@echo "Installing into $(VENV), with what the tests need ..."
	@sh scripts/make-venv.sh $(VENV) dev
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed ## install into .venv; then: .venv/bin/opencram --help

demo: $(VENV)/.installed ## simulate one raid on Baghdad and write its report
	@echo "Simulating $(DEMO); the very first run also compiles the numerical kernels, for about a minute ..."
	@$(BIN)/opencram run $(DEMO) --out runs/demo

live: $(VENV)/.installed ## open the operator's picture of a raid that is played in real time, its radars sending ASTERIX over UDP, its sirens in software; Ctrl-C ends it
	@$(BIN)/python scripts/live.py baghdad-embassy --play baghdad-2020-11-17 --asterix 127.0.0.1:8600 --record runs/live --reports runs $(LIVE_ARGS)

vendor: ## make the pages' vendored libraries again from their packages, and compare their hashes; needs npm
	@python3 scripts/vendor.py

pictures: $(VENV)/.installed-dev ## make the docs' pictures of the operator's picture again; needs chromium
	@PYTHONPATH=benchmarks $(BIN)/python scripts/picture_images.py

demo-sirens: $(VENV)/.installed ## play the raid in real time to three software sirens, over Mosquitto if it is installed
	@echo "The very first start also compiles the numerical kernels, for about a minute ..."
	@$(BIN)/opencram warmup
	@$(BIN)/python scripts/demo_sirens.py

lint: $(VENV)/.installed-dev ## style (ruff) and types (mypy --strict)
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/mypy

test: lint ## lint, then all tests, on two processes; PYTEST_ARGS= is passed on
	$(BIN)/opencram warmup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

accuracy: $(VENV)/.installed ## how exact predictions are, against the Cramer-Rao bound, into docs/accuracy.md (a quarter of an hour)
	@cd benchmarks && $(abspath $(BIN))/python -m accuracy --docs ../docs $(ACCURACY_ARGS)

bench: $(VENV)/.installed-dev ## how fast and exact the tracker is, beside Stone Soup, into docs/performance.md (ten minutes)
	@cd benchmarks && $(abspath $(BIN))/python -m tracking --docs ../docs $(BENCH_ARGS)

salvos: $(VENV)/.installed ## salvos of 7 and 50 rockets, 100 seeds each, into docs/salvos.md: is the count right? (a quarter of an hour)
	@cd benchmarks && $(abspath $(BIN))/python -m salvos --docs ../docs $(SALVOS_ARGS)

raids: $(VENV)/.installed ## 1,000 random raids, into docs/warning-performance.md: warned in time, and for nothing? (an hour; goes on where it was stopped)
	@cd benchmarks && $(abspath $(BIN))/python -m raids --docs ../docs $(RAIDS_ARGS)

study: $(VENV)/.installed ## run a small study: two raids, four seeds each, and its report (under two minutes)
	@rm -rf runs/study
	@$(BIN)/opencram study examples/studies/small.yaml --out runs/study

examples: $(VENV)/.installed ## run the three studies that docs/studies.md answers from, and put their pages there (a quarter of an hour)
	@$(BIN)/python scripts/example_studies.py

mutants: $(VENV)/.installed-dev ## change the code that warns in one place at a time, into docs/explanation/mutants.md: do its tests notice? (half an hour)
	@$(BIN)/python scripts/mutants.py

soak: $(VENV)/.installed ## six hours of traffic at speed through the live path: memory, queues, and is the recording true? (half an hour)
	@$(BIN)/python benchmarks/soak.py $(SOAK_ARGS)

overload: $(VENV)/.installed ## ten times the stated plots to a real service, for a minute, with a raid in their midst (five minutes)
	@$(BIN)/python benchmarks/overload.py $(OVERLOAD_ARGS)

incidents: $(VENV)/.installed ## the six incidents, 200 seeds each, into docs/incidents (half an hour)
	@$(BIN)/opencram study examples/studies/incidents.yaml --out runs/incidents
	@mkdir -p docs/incidents
	@cp runs/incidents/study.md docs/incidents/README.md
	@cp runs/incidents/study*.svg docs/incidents/

innocent-sky: $(VENV)/.installed ## a day of birds, aircraft, gunfire and rain, into docs/innocent-sky.md: does anything sound? (two hours)
	@cd benchmarks && $(abspath $(BIN))/python -m innocent --out ../runs/innocent-sky.json --docs ../docs $(INNOCENT_ARGS)

clean: ## remove the environment, the caches and the demonstration run
	rm -rf $(VENV) runs/demo runs/study .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
