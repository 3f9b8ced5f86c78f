# Every target sets up what it needs; Python 3.11 or newer and make are all that must be there.
#
#   .venv-serve  what the service runs in: no torch
#   .venv        everything: service, training, tests, tools
#
# A stamp file in each says that it is complete; a change of pyproject.toml or constraints.txt brings
# it up to date at the next call.

# Loopback only, as the service asks for no password. HOST=0.0.0.0 opens it to the network.
HOST ?= 127.0.0.1
PORT ?= 3000

# cpu or gpu: the build of ONNX Runtime to install.
ifndef ACCELERATOR
ACCELERATOR := $(shell tools/accelerator)
endif

export HOST PORT PYTHON

SERVE_READY := .venv-serve/.ready-$(ACCELERATOR)
DEV_READY := .venv/.ready-$(ACCELERATOR)
SERVE_PYTHON := .venv-serve/bin/python
DEV_PYTHON := .venv/bin/python
PINS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.PHONY: help serve test fuzz chaos check format train evaluate export league sabotage bench bento docs lock clean

help: ## list the targets
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile | expand -t 12

serve: $(SERVE_READY) ## serve models/ on HOST (127.0.0.1) and PORT (3000)
	@exec $(SERVE_PYTHON) -m service

test: $(DEV_READY) ## run the tests; ARGS="-k batcher" passes options to pytest
	@$(DEV_PYTHON) -m pytest --numprocesses auto --dist worksteal $(ARGS)

# ARGS="--requests 100000 --seed 7" sends more, and others.
fuzz: $(DEV_READY) ## send 20,000 requests made of the API's document to a server over models/
	@$(DEV_PYTHON) -m tests.fuzz $(ARGS)

# ARGS="training --only dcgan wgan --seed 7" kills these, at the moments of that seed; ARGS="serving overload drain"
# does these to the service (ARGS="serving --help" says what else there is); ARGS="models --files 100000" loads
# mutated model directories, and ARGS=swaps swaps models under load.
chaos: $(DEV_READY) ## kill, damage and interrupt training runs, and the service under load (hours)
	@$(DEV_PYTHON) -m tests.chaos $(ARGS)

check: $(DEV_READY) ## formatter, linters, type checker, import rules
	@$(DEV_PYTHON) -m ruff format --check .
	@$(DEV_PYTHON) -m ruff check .
	@$(DEV_PYTHON) -m mypy
	@PYTHONPATH=sdk/src $(DEV_PYTHON) -c 'from importlinter.cli import lint_imports_command as lint; lint()'
	@if [ -x .venv/bin/hadolint ]; then .venv/bin/hadolint Dockerfile; else echo 'hadolint: not on this platform'; fi

format: $(DEV_READY) ## rewrite the code as `make check` wants it
	@$(DEV_PYTHON) -m ruff check --fix .
	@$(DEV_PYTHON) -m ruff format .

# The whole way from DATA to a model in models/, called NAME (or as the data is); SERVE=1 serves it too.
# ARGS takes any option, and alone it only trains.
train: $(DEV_READY) ## train, judge, export: DATA=photos [RECIPE=dcgan NAME=p SERVE=1], or ARGS="..."
	@$(DEV_PYTHON) -m training train $(if $(DATA),--data '$(DATA)' --export $(if $(NAME),'$(NAME)')) \
		$(if $(RECIPE),--recipe '$(RECIPE)') $(ARGS)
	@$(if $(SERVE),exec $(MAKE) --no-print-directory serve)

evaluate: $(DEV_READY) ## measure a run: RUN=runs/..., or ARGS="..."
	@exec $(DEV_PYTHON) -m training evaluate $(if $(RUN),'$(RUN)') $(ARGS)

export: $(DEV_READY) ## write a run's generator to models/: RUN=runs/... NAME=mnist, or ARGS="..."
	@exec $(DEV_PYTHON) -m training export $(if $(RUN),'$(RUN)') $(if $(NAME),--name '$(NAME)') $(ARGS)

# What was played is kept; ARGS="--for 30 --workers 2" plays for half an hour, two runs at once.
league: $(DEV_READY) ## train every recipe for the same CPU time and write the tables (hours)
	@exec $(DEV_PYTHON) -m bench.league $(ARGS)

# What is done is not done again; ARGS="--only healthy --limit 10" does a part.
sabotage: $(DEV_READY) ## sabotage runs in known ways and see whether the doctor names it (a core-hour)
	@exec $(DEV_PYTHON) -m bench.sabotage $(ARGS)

# ARGS="--only forger" measures the service alone; wrk must be there, and the machine quiet.
bench: $(DEV_READY) ## measure the service beside raw ONNX Runtime and its peers (an hour)
	@exec $(DEV_PYTHON) -m bench.serving $(ARGS)

bento: $(DEV_READY) ## build the bento into BentoML's store
	@BENTOML_DO_NOT_TRACK=True $(DEV_PYTHON) -m bentoml build

docs: $(DEV_READY) ## write what is generated from the code: docs/settings.md
	@$(DEV_PYTHON) -m service.settings_table > docs/settings.md

# Keeps the pins that still fit; UPGRADE=1 takes the newest of everything. The environment need not be
# up to date for it: new requirements may contradict the old pins.
lock: .venv/bin/uv ## write the pins anew: constraints.txt, bento-requirements.txt
	@$(DEV_PYTHON) -m uv pip compile pyproject.toml --all-extras $(LOCK_OPTIONS) \
		--annotation-style line --output-file constraints.txt
	@$(DEV_PYTHON) -m uv pip compile pyproject.toml --extra gpu --extra traces --constraint constraints.txt $(LOCK_OPTIONS) \
		--no-annotate --output-file bento-requirements.txt

LOCK_OPTIONS = --universal --fork-strategy fewest --python-version 3.11 --custom-compile-command 'make lock' \
	--quiet $(if $(UPGRADE),--upgrade)

clean: ## remove the environments and everything else that can be made again (not runs/)
	rm -rf .venv .venv-serve .bentoml .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		build forger.egg-info .coverage

$(SERVE_READY): $(PINS)
	@tools/environment .venv-serve $(ACCELERATOR)

$(DEV_READY): $(PINS)
	@tools/environment .venv $(ACCELERATOR) train dev

.venv/bin/uv:
	@$(MAKE) --no-print-directory $(DEV_READY)
