# make demo   the SASRec recommender, built and proved for ONNX and Core ML
# make test   lint, types, tests

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/installed
JOBS ?= 2
COVERAGE := benchmarks/.venv-coverage

.PHONY: demo zoo test lint types mypy pyright tests long large cluster conformance differential coverage fuzz releases web swift schemas references docs million saboteurs ship clean

# Where the browser's engine is; tests that need it say "not run" where it could not be installed.
WEB := build/web
export POCKETREC_ONNXRUNTIME_WEB ?= $(CURDIR)/$(WEB)/node_modules/onnxruntime-web

demo: $(STAMP)
	$(BIN)/pocketrec zoo data
	$(BIN)/pocketrec build model_zoo/recipes/sasrec.toml --out build/sasrec

# Every family of the zoo, trained where it has to be, built with every target, judged by every gate: docs/zoo.md.
# FAMILIES="sasrec dlrm" takes some only. Goes on where it was stopped.
zoo: $(STAMP) $(WEB)/installed.json
	$(BIN)/python -m tests.zoo.run --jobs $(JOBS) $(if $(FAMILIES),--families $(FAMILIES))

# What needs no test runs beside each other first; then the tests have the processors to themselves.
test: $(STAMP)
	$(MAKE) -j $(JOBS) lint mypy pyright
	$(MAKE) tests

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: mypy pyright

mypy: $(STAMP)
	$(BIN)/mypy

pyright: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python

# Neighbours in a folder share what their fixtures make, so each worker begins with a half of the folders.
tests: $(STAMP) $(WEB)/installed.json
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal -m "not long and not docs and not large and not cluster and not swift and not ship"

# Whole builds, every command of the README, threads beside each other: what continuous integration runs after `test`.
long: $(STAMP) $(WEB)/installed.json
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal -m long

large: $(STAMP)
	$(BIN)/pytest -q -m large

# Ray and Spark are large, so they come when this is asked for; Spark needs Java 17.
cluster: $(STAMP)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[build,dev,ray,spark]'
	$(BIN)/pytest -q -m cluster

# The published JSON Schema of the evidence, from its dataclasses.
schemas: $(STAMP)
	$(BIN)/python -m pocketrec.report.json_schema docs/schemas

# The pages of docs/ that are made from the code: recipe.md, commands.md.
references: $(STAMP)
	$(BIN)/python -m tests.docs.write

# The site of docs/ in build/site, without a dead link or a page that nothing leads to; then what pages show is run.
docs: $(STAMP)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -q -f tests/docs/mkdocs.yml
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal -m docs tests/docs

# Everybody who would have a bad artifact pass, each caught by the gate that is there for it, beside an honest twin.
# NAMES="constant zeros" takes some only, JSON=1 prints JSON.
saboteurs: $(STAMP)
	$(BIN)/python -W ignore -m tests.saboteurs.run $(NAMES) $(if $(JSON),--json)

# What lies between a bundle and an app, with real registries and clients: docs/shipping.md. Sets tools up outside of
# the tree, and goes on where it was stopped. PARTS="registry deltas" takes some only, COUNT=1000 changes fewer things.
ship: $(STAMP)
	$(BIN)/python -m tests.ship.run $(PARTS) --jobs $(JOBS) $(if $(COUNT),--count $(COUNT))

# Every reader of files from outside under a coverage-guided fuzzer; the corpus in build/fuzz is gone on from.
fuzz: $(STAMP)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),1800) $(TARGETS)

# Every zoo bundle in Chromium, on both providers, through its generated package; goes on where it was stopped.
web: $(STAMP) $(WEB)/installed.json
	command -v chromium || (apt-get update -q && apt-get install -y -q chromium)
	$(BIN)/python -m tests.web.run --folder $(WEB) --docs docs/web.md \
		$(if $(FAMILIES),--families $(FAMILIES)) $(if $(PRESETS),--presets $(PRESETS))

# Every zoo bundle's Swift package, built in Swift 6 mode and tested; where there is no swift, one is set up once
# outside of the tree. FAMILIES=sasrec PRESETS=float32 takes some only. Goes on where it was stopped.
swift: $(STAMP) $(WEB)/installed.json
	$(BIN)/python -m tests.swift.toolchain
	$(BIN)/python -m tests.swift.run $(if $(FAMILIES),--families $(FAMILIES)) $(if $(PRESETS),--presets $(PRESETS))

# A million users drawn from MovieLens on three runtimes, killed twice and gone on with. WORKERS=2 USERS=40000
million: $(STAMP)
	$(BIN)/python -m tests.million.run --workers $(or $(WORKERS),2) --users $(or $(USERS),1000000)

# Two compressions of one model and two trainings, compared: docs/diff.md. The last comparison has to end with 1.
releases: $(STAMP)
	$(BIN)/pocketrec zoo data
	$(BIN)/python docs/examples/releases.py build/releases
	for name in int8 int4 reordered; do \
		$(BIN)/pocketrec build build/releases/$$name.toml --out build/releases/$$name || exit $$?; \
	done
	$(BIN)/pocketrec diff build/releases/int8 build/releases/int4 --recipe build/releases/int4.toml \
		--html build/releases/diff.html
	$(BIN)/pocketrec diff build/releases/int8 build/releases/reordered \
		--recipe build/releases/reordered.toml; test $$? -eq 1

conformance: $(STAMP)
	$(BIN)/python tests/conformance/run.py

# Drawn programs, converted and compared far from their example; goes on where it was stopped.
differential: $(STAMP)
	$(BIN)/python -m tests.differential.run --seconds $(or $(SECONDS),3600)

# Slow: every model is exported several times. LIBRARIES="torch-rechub RecBole" takes some only.
# Goes on where it was stopped: rows in build/coverage.json are kept, AGAIN=--again runs them anew.
coverage: $(COVERAGE)/installed
	$(COVERAGE)/bin/python -W ignore benchmarks/coverage.py $(LIBRARIES) --jobs $(JOBS) $(AGAIN) \
		--json build/coverage.json --markdown docs/coverage.md

clean:
	rm -rf .venv $(COVERAGE) build

# PyTorch comes first and alone, pinned: where an index has a build without CUDA, that one is newest
# and is taken, and nothing that is installed after it can bring another.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[build,dev,web]'
	touch $@

# What the committed lock file names; without npm the folder stays away.
$(WEB)/installed.json: $(STAMP) package/web/templates/package/package-lock.json
	if command -v npm; then $(BIN)/python -m tests.web.install $(WEB); fi

# The libraries share the project's packages through a .pth file and bring no dependencies of their own.
$(COVERAGE)/installed: benchmarks/coverage_requirements.txt $(STAMP)
	$(PYTHON) -m venv --clear --without-pip $(COVERAGE)
	$(BIN)/python -c "import site; print('import site; site.addsitedir(%r)' % site.getsitepackages()[0])" \
		> $$($(COVERAGE)/bin/python -c "import site; print(site.getsitepackages()[0])")/project.pth
	$(BIN)/pip --python $(COVERAGE)/bin/python install -q --disable-pip-version-check --no-deps \
		-r benchmarks/coverage_requirements.txt
	touch $@
