# Each target builds .venv when it is missing or older than its pins. Variables, as in `make demo CORES=8`:
#   PYTHON    the interpreter that .venv is made with, 3.11 or newer
#   PIP_ARGS  passed to pip, to choose the build of torch (see README.md)
#   CORES     cores for the demo
#   WORKERS   processes for the tests, one thread each
#   CONFIG    config of the run for why, accept and prune; config.yaml by default
#   YES       for accept: do not ask
PYTHON ?= python3
PIP_ARGS ?=
CORES ?= $(shell nproc)
WORKERS ?= 2

BIN := .venv/bin
INSTALLED := .venv/.installed
FILE := $(if $(CONFIG),--configfile $(CONFIG))
# More threads than one a process make two processes on two cores slower, and sums differ in the last bit.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest

# What of the folder's path Snakemake cannot start jobs under, for it does not quote them, or no .venv may have:
# tabs, blanks and "$&'()*:;<>?\`{|}, as in workflow_scripts/place.py. A blank is shown as _.
UNFIT := $(shell pwd -P | tr -dc '\11\40\42\44\46-\52\72-\74\76\77\134\140\173-\175' | tr '\11\40' '__')
ifneq ($(filter-out help,$(MAKECMDGOALS)),)
ifneq ($(UNFIT),)
$(error $(CURDIR): expected a path without blanks, quotes, colons and what shells treat as special, got one \
	with $(UNFIT) where Snakemake cannot start jobs (its issue 2645); move the checkout, nothing was installed)
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo demo-multicoil demo-shifts demo-features demo-theory why accept prune test test-slow lint bench

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

venv: $(INSTALLED) ## build .venv from envs/constraints.txt

# One pip command, or pip replaces a CPU build of torch. Loops are compiled here, once, and not by the first jobs.
# The stamp comes last, so a broken build is resumed.
$(INSTALLED): pyproject.toml envs/constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_ARGS) -c envs/constraints.txt -e '.[fftw,demo,test,dev]'
	OMP_NUM_THREADS=1 $(BIN)/python -m workflow_scripts.upkeep.compile
	touch $@

demo: $(INSTALLED) ## run config.yaml here: minutes on two cores, no download
	$(BIN)/snakemake --cores $(CORES)
	$(BIN)/python -m workflow_scripts.upkeep.summary results/demo

demo-multicoil: $(INSTALLED) ## run config.multicoil.yaml here: multi-coil data, no download
	$(BIN)/snakemake --cores $(CORES) --configfile config.multicoil.yaml
	$(BIN)/python -m workflow_scripts.upkeep.summary --configfile config.multicoil.yaml

demo-features: $(INSTALLED) ## run config.features.yaml here: small features, no download
	$(BIN)/snakemake --cores $(CORES) --configfile config.features.yaml
	$(BIN)/python -m workflow_scripts.upkeep.summary --configfile config.features.yaml

demo-shifts: $(INSTALLED) ## run config.shifts.yaml here: shifts of distribution, no download
	$(BIN)/snakemake --cores $(CORES) --configfile config.shifts.yaml
	$(BIN)/python -m workflow_scripts.upkeep.summary --configfile config.shifts.yaml

demo-theory: $(INSTALLED) ## run config.theory.yaml here: what exact recovery implies, no download
	$(BIN)/snakemake --cores $(CORES) --configfile config.theory.yaml
	$(BIN)/python -m workflow_scripts.upkeep.summary --configfile config.theory.yaml

why: $(INSTALLED) ## say which jobs would run, and why
	$(BIN)/python -m workflow_scripts.upkeep.why $(FILE)

accept: $(INSTALLED) ## keep results although their code changed, after a refactoring that changes no number
	$(BIN)/python -m workflow_scripts.upkeep.accept $(FILE) $(if $(YES),--yes)

prune: $(INSTALLED) ## remove units of work that no job of the config uses, receipts of lost results
	$(BIN)/python -m workflow_scripts.upkeep.prune $(FILE)

test: $(INSTALLED) ## the fast tests
	$(PYTEST) -n $(WORKERS) -m "not slow and not slurm and not gpu"

# A file's tests stay together, for they share a run or a cluster; files in the order of tests/conftest.py. One
# process more, for those on SLURM mostly wait.
test-slow: $(INSTALLED) ## the slow tests: whole runs, edits, killed processes, SLURM
	$(PYTEST) -n $$(($(WORKERS) + 1)) --dist loadfile --no-loadscope-reorder -m "slow or slurm"

lint: $(INSTALLED) ## formatting, style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy

bench: $(INSTALLED) ## time the parts that cost
	$(BIN)/python -m benchmarks
