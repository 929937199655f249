# make demo       the whole chain on a synthetic lake            (DATA=kuairand INPUT=folder: on real logs; REPLACE=1: over other data)
# make test       lint, types, tests          make test-slow     the long proofs
# make test-fast  the tests that start neither Spark nor Horovod's workers, write no bundle and take no seconds
# make package    dist/camoe.zip, for --py-files on a cluster
# make environment   dist/environment.tar.gz, for --archives: Python and packages   (TORCH=cpu, cuda or none)
SHELL := /bin/bash
DATA ?= synthetic
OUT ?= out/$(DATA)
# Only the synthetic pipeline has its lake made for it.
LAKE := $(if $(filter synthetic,$(DATA)),--lake conf/lake/default.yaml)
# PyTorch's build in the packed environment.
TORCH ?= cpu
READY := .venv/.ready
ACTIVE := unset SPARK_HOME PYSPARK_DRIVER_PYTHON; export PATH="$(CURDIR)/.venv/bin:$$PATH" PYSPARK_PYTHON="$(CURDIR)/.venv/bin/python";

.PHONY: demo test test-fast test-slow lint package environment

demo: $(READY)
	@$(ACTIVE) python jobs/demo.py --config conf/$(DATA).yaml out="$(OUT)" $(if $(INPUT),input="$(INPUT)",$(LAKE)) $(if $(REPLACE),--replace)

test: $(READY) lint
	@$(ACTIVE) python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-fast: $(READY)
	@$(ACTIVE) python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not spark and not horovod and not bundle and not lengthy"

test-slow: $(READY)
	@$(ACTIVE) python -m pytest -m slow

lint: $(READY)
	@$(ACTIVE) ruff check && ruff format --check && mypy

package: $(READY)
	@mkdir -p dist && rm -f dist/camoe.zip && git archive --format=zip -o dist/camoe.zip HEAD camoe features conf && echo dist/camoe.zip

environment: $(READY)
	@tools/environment.sh $(TORCH) dist/environment.tar.gz

$(READY): uv.lock pyproject.toml setup.cfg tools/setup.sh tools/packages.sh
	@tools/setup.sh
	@touch $@
