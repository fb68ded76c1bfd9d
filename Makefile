# The commands of the book. `make` alone lists them.
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$p; break; }; done)
export VENV
RUN = $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup book test test-all html execute record verify lab repository clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1|/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup: ## set up the environment only (the other commands do it when they need it)
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found. Install one, or name it: make book PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) tools/setup_env.py

book: setup ## run every chapter on the images found, and build the pages
	@$(RUN) tools/execute.py copies
	@$(RUN) tools/build.py executed

test: setup ## tests, doctests, every notebook, the checks, a strict build, browser tests
	@$(RUN) tools/run_tests.py

test-all: setup ## the same, and the tests that take longer
	@$(RUN) tools/run_tests.py --all

html: setup ## build the pages from the committed outputs, in seconds
	@$(RUN) tools/build.py committed

execute: setup ## run the changed chapters on CIFAR-10 and LFW and store their outputs (ONLY=name, ALL=1)
	@$(RUN) tools/execute.py committed $(if $(ONLY),--only $(ONLY)) $(if $(ALL),--all)

record: setup ## run a recorded grid, or list them (NAME=grid)
	@$(RUN) -m retrieval_lib record $(NAME)

verify: setup ## evaluate the shipped checkpoints again, and re-run a cell of each recorded grid
	@$(RUN) -m retrieval_lib verify

lab: setup ## open the notebooks in JupyterLab
	@$(RUN) -m pip install --quiet jupyterlab jupytext
	@$(RUN) -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) book

repository: setup ## set the repository for Colab links (NAME=owner/name)
	@$(RUN) tools/set_repository.py $(NAME)

clean: ## remove what was built; the environment stays
	rm -rf _build
