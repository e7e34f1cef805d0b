# Every target makes its own environment; nothing has to be installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# One worker a core: threads of OpenMP that wait for each other by spinning would slow
# parallel tests down tenfold. One thread also gives the demo the same figures anywhere.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
SKLEARN_VERSIONS ?= 1.6.1 1.7.2 1.8.0 1.9.1

.PHONY: help install demo test lint format docs fuzz mutants soak audit pictures test-lenskit test-oldest test-python test-recbole test-rectools test-sklearn bench bench-hosts bench-frontier clean

help:
	@echo "make demo          train, wrap and steer a recommender on MovieLens"
	@echo "make test          run all tests"
	@echo "make lint          ruff, mypy, codespell"
	@echo "make fuzz          try 300,000 examples of bad input (about half an hour)"
	@echo "make mutants       change the code line by line: do the tests notice? (hours)"
	@echo "make soak          ask fitted models at random for an hour (SECONDS=3600)"
	@echo "make audit         look for known holes in the pinned dependencies"
	@echo "make docs          build the documentation into docs/_build/html"
	@echo "make pictures      make its pictures of the explorer anew"
	@echo "make test-recbole  run the tests of RecBole's checkpoints on RecBole itself"
	@echo "make test-lenskit  run the tests of the bridge to LensKit"
	@echo "make test-rectools run the tests of the bridge to RecTools"
	@echo "make test-oldest   run most tests on the oldest versions of everything (3 GB)"
	@echo "make test-python   run most tests on another Python: PYTHON=python3.13 (3 GB)"
	@echo "make test-sklearn  run the estimator tests on scikit-learn $(SKLEARN_VERSIONS)"
	@echo "make bench         measure what the benchmarks claim (hours)"
	@echo "make bench-hosts   train the hosts of the frontier table (an hour or two)"
	@echo "make bench-frontier measure every method on those hosts (57 minutes)"
	@echo "make install       only make .venv, with what the demo needs"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch comes first and pinned: a plain requirement would resolve to a CUDA build.
$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing skpopsteer into $(VENV) (a few minutes the first time) ..."
	$(PIP) torch==2.13.0
	$(PIP) -e ".[plot]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need ..."
	$(PIP) -e ".[test]"
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	@echo "Installing what the documentation needs ..."
	$(PIP) -e ".[docs]"
	@touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(ONE_THREAD) $(BIN)/python examples/plot_steer_movielens.py

# Of a part of the tests: make test COVERAGE= PYTEST_ARGS=tests/sae
COVERAGE ?= --cov --cov-report=term:skip-covered --cov-fail-under=95
test: $(VENV)/.installed-test
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto -q $(COVERAGE) $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

docs: $(VENV)/.installed-docs
	$(ONE_THREAD) $(BIN)/python -m sphinx -j 2 -n -W --keep-going -b html docs docs/_build/html

# New examples every time; what fails is kept in .hypothesis and tried first.
fuzz: $(VENV)/.installed-test
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto -q --hypothesis-profile=long tests/fuzz $(PYTEST_ARGS)

$(BIN)/mutmut: $(VENV)/.installed-test
	$(PIP) mutmut==3.8.1

mutants: $(BIN)/mutmut
	$(ONE_THREAD) nice -n 10 $(BIN)/python benchmarks/mutation.py $(MUTANT_ARGS)

SECONDS ?= 3600

# Threads and processes ask at random; a line a minute.
soak: $(VENV)/.installed-test
	$(ONE_THREAD) $(BIN)/python -m tests.reliability.soak --seconds $(SECONDS)

# Without a network: make audit AUDIT_ARGS="--advisories all.zip"
audit: .venv-audit/.installed
	@.venv-audit/bin/python tests/security/audit.py constraints.txt $(AUDIT_ARGS)

.venv-audit/.installed:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check "pip-audit>=2.10"
	@touch $@

# What the tests in a browser see is what the documentation shows.
pictures: $(VENV)/.installed-test
	SKPOPSTEER_PICTURES=docs/_static $(ONE_THREAD) $(BIN)/python -m pytest -q \
		tests/browser/test_page.py -k pictures

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One environment a version, apart from .venv: their pins contradict each other.
test-sklearn: $(SKLEARN_VERSIONS:%=test-sklearn-%)

test-sklearn-%:
	test -x .venv-sklearn-$*/bin/python || $(PYTHON) -m venv .venv-sklearn-$*
	grep -v '^scikit-learn==' constraints.txt > .venv-sklearn-$*/constraints.txt
	.venv-sklearn-$*/bin/python -m pip install --quiet --disable-pip-version-check \
		-c .venv-sklearn-$*/constraints.txt torch==2.13.0
	.venv-sklearn-$*/bin/python -m pip install --quiet --disable-pip-version-check \
		-c .venv-sklearn-$*/constraints.txt scikit-learn==$* -e ".[test]"
	$(ONE_THREAD) .venv-sklearn-$*/bin/python -m pytest -n auto -q tests/test_estimator_checks.py \
		tests/adapters tests/neurons tests/sae tests/steering tests/rerankers \
		tests/metrics tests/inspection tests/test_scikit_learn_usage.py \
		tests/test_persistence.py tests/test_persistence_safety.py

# What is tried on other versions than those of .venv.
VERSION_TESTS := tests/test_estimator_checks.py tests/adapters tests/sae tests/neurons \
	tests/steering tests/rerankers tests/metrics tests/numerics tests/test_topk.py \
	tests/test_oldest.py tests/test_persistence.py tests/test_scikit_learn_usage.py

# The oldest versions that pyproject.toml allows. torch 2.4 brings CUDA: a download of
# 3 GB, and 6 GB on disk.
OLDEST := .venv-oldest
$(OLDEST)/.installed: pyproject.toml constraints-oldest.txt
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
		--only-binary=:all: -c constraints-oldest.txt -e ".[test]"
	@touch $@

# torch 2.4 warns of the way in which it pickles tensors itself.
test-oldest: $(OLDEST)/.installed
	$(ONE_THREAD) $(OLDEST)/bin/python -m pytest -n auto -q -m "not slow" \
		-W 'ignore:You are using `torch.load` with `weights_only=False`:FutureWarning' \
		$(VERSION_TESTS)

# Another Python, with the newest of everything that it has wheels for; as much on disk.
# The warning is of Cornac, about its own training.
test-python:
	version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	folder=.venv-python-$$version; \
	test -x $$folder/bin/python || $(PYTHON) -m venv $$folder || exit 1; \
	$$folder/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
		--prefer-binary -e ".[test]" && \
	$(ONE_THREAD) $$folder/bin/python -m pytest -n auto -q -m "not slow" \
		-W "ignore:optimizer parameters need to be organized:FutureWarning" \
		$(VERSION_TESTS)

# RecBole asks for older numpy and scipy, and for libraries that are not used here.
test-recbole:
	test -x .venv-recbole/bin/python || $(PYTHON) -m venv .venv-recbole
	.venv-recbole/bin/python -m pip install --quiet --disable-pip-version-check \
		torch==2.13.0 numpy==1.26.4
	.venv-recbole/bin/python -m pip install --quiet --disable-pip-version-check \
		--no-deps -r tests/golden/recbole/requirements.txt -e .
	$(ONE_THREAD) .venv-recbole/bin/python -m pytest -n auto -q \
		tests/adapters/test_recbole.py tests/adapters/test_safe_weights.py \
		tests/adapters/test_contract.py tests/metrics/test_golden_recbole.py

# LensKit needs pandas < 3. hpfrec, which one of its scorers needs, is compiled.
test-lenskit:
	test -x .venv-lenskit/bin/python || $(PYTHON) -m venv .venv-lenskit
	grep -v '^pandas==' constraints.txt > .venv-lenskit/constraints.txt
	.venv-lenskit/bin/python -m pip install --quiet --disable-pip-version-check \
		-c .venv-lenskit/constraints.txt torch==2.13.0
	.venv-lenskit/bin/python -m pip install --quiet --disable-pip-version-check \
		-c .venv-lenskit/constraints.txt pandas==2.3.3 hpfrec -e ".[lenskit,test]"
	$(ONE_THREAD) .venv-lenskit/bin/python -m pytest -n auto -q -k lenskit \
		tests/adapters/test_contract.py tests/adapters/test_as_recommender.py \
		tests/adapters/test_lenskit.py
	$(ONE_THREAD) .venv-lenskit/bin/python -m pytest -q \
		tests/metrics/test_golden_lenskit.py tests/metrics/test_golden_lenskit_itself.py

# RecTools needs numpy < 2, and its pm-implicit is the package `implicit` under another
# name, in the same folder: so ours is installed without what it asks for, which is
# named here instead, and imports of implicit find pm-implicit. The benchmark of PopSteer
# on SASRec runs here too.
RECTOOLS := .venv-rectools
$(RECTOOLS)/.installed: constraints.txt
	test -x $(RECTOOLS)/bin/python || $(PYTHON) -m venv $(RECTOOLS)
	grep -v -E '^(numpy|pandas|implicit)==' constraints.txt > $(RECTOOLS)/constraints.txt
	$(RECTOOLS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(RECTOOLS)/constraints.txt torch==2.13.0
	$(RECTOOLS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(RECTOOLS)/constraints.txt "rectools[torch]==0.19.0" pm-implicit==0.7.3 \
		pytorch-lightning==2.5.2 numpy==1.26.4 pandas==2.3.3 scikit-learn joblib \
		threadpoolctl matplotlib narwhals polars skops pytest pytest-xdist hypothesis
	$(RECTOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# The warnings are those of RecTools and Lightning where they load a model.
test-rectools: $(RECTOOLS)/.installed
	$(ONE_THREAD) $(RECTOOLS)/bin/python -m pytest -n auto -q \
		-W 'ignore:You defined a `validation_step`:UserWarning' \
		-W 'ignore:`isinstance(treespec, LeafSpec)`:FutureWarning' \
		-W 'ignore:Total length of `:UserWarning' \
		tests/adapters/test_contract.py tests/adapters/test_rectools.py \
		tests/metrics tests/test_topk.py

bench: $(VENV)/.installed
	$(PIP) -e ".[plot,cornac,elsa]" faiss-cpu
	for script in $(filter-out benchmarks/mutation.py,$(wildcard benchmarks/*.py)); do $(ONE_THREAD) $(BIN)/python $$script || exit 1; done

# One pair of a host and a data set alone: make bench-hosts BENCH_ARGS="--only als-ml-1m"
bench-hosts: $(VENV)/.installed $(RECTOOLS)/.installed
	$(PIP) -e ".[cornac,elsa]"
	$(ONE_THREAD) $(BIN)/python benchmarks/frontier_hosts.py $(BENCH_ARGS)

bench-frontier: $(VENV)/.installed
	$(ONE_THREAD) $(BIN)/python benchmarks/frontier_table.py $(BENCH_ARGS)

clean:
	rm -rf $(VENV) .venv-* build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	rm -rf docs/_build docs/auto_examples docs/sg_execution_times.rst
	rm -rf docs/api/backreferences docs/api/skpopsteer.* docs/results/tables
	rm -f docs/whats_new/upcoming.md
