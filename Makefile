# `make run` serves the demo bundle; `make test` runs everything. Both fetch what they need.

SHELL := /bin/sh
PYTHON ?= python3
CARGO ?= cargo
LISTEN ?= 127.0.0.1:8080
# Pillow, for the comparison of our resizing with it, and numpy, for the second evaluator: installed beside, without a virtual
# environment.
PACKAGES := $(shell grep -E '^(pillow|numpy)==' tests/reference/requirements.txt)
# Its packages are found by every Python that a test starts.
TEST_PYTHON := HOMOLOG_PYTHON='$(PYTHON)' PYTHONPATH='$(CURDIR)/.cache/python'

HAS_POSTGRES := command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1

.PHONY: run test setup packages postgres lint bench bench-train reference train-demo study parity parity-published pck-published openapi help \
	docker docker-cuda fuzz schemathesis schemathesis-short peer load soak

help:
	@echo 'make run        fetch ONNX Runtime, build, serve the demo bundle on $(LISTEN)'
	@echo 'make test       every test'
	@echo 'make lint       rustfmt and clippy, warnings denied'
	@echo 'make bench      what our parts cost beside a yardstick, as ratios (BENCH="new-photos peer": those sections)'
	@echo 'make load       a minute of ten times the sustainable rate, 200 slow clients, 1,000 that leave'
	@echo 'make soak       a quarter of an hour of mixed work'
	@echo 'make fuzz       every reader of foreign bytes under cargo-fuzz, FUZZ_SECONDS (60) each'
	@echo 'make schemathesis  the service against its own OpenAPI document'
	@echo 'make setup      fetch ONNX Runtime into .runtime/ (CUDA=1: the CUDA build)'
	@echo 'make parity     full-size ViT-B against PyTorch: errors, times, memory'
	@echo "                (PARITY='--name dinov2-vits14 --resolutions 518': another network)"
	@echo 'make parity-published  the released DINOv3 weights (HOMOLOG_DINOV3=FILE) against the published values'
	@echo 'make pck-published     the released DINOv2 weights (HOMOLOG_DINOV2=FILE) on PF-WILLOW against a public run'
	@echo 'make reference  make tests/golden again with PyTorch and transformers'
	@echo 'make train-demo train models/demo again, from nothing (PROVIDER=cuda: on a GPU; RECIPE=demo-two-cores: without one)'
	@echo 'make study      the adaptations of the literature over the demo, on a synthetic benchmark'
	@echo 'make bench-train   training against PyTorch: times and memory, as ratios'
	@echo 'make openapi    write openapi/openapi.json again'
	@echo 'make docker     the CPU image, built and smoke-tested; of the CUDA image what needs nothing of NVIDIA'
	@echo 'make docker-cuda       the CUDA image'

setup:
	@PYTHON='$(PYTHON)' src/engine/runtime/fetch.sh .runtime

run: setup
	$(CARGO) run --release --package homolog -- serve --listen $(LISTEN)

# Built once, as the tests need it: `cargo build` would take other features of some dependencies, and build them twice.
test: setup packages postgres
	$(CARGO) test --workspace --no-run
	@$(MAKE) --no-print-directory schemathesis-short
	export HOMOLOG_REQUIRE_PILLOW=1; if $(HAS_POSTGRES); then export HOMOLOG_REQUIRE_POSTGRES=1; fi; \
		$(TEST_PYTHON) $(CARGO) test --workspace

packages:
	@$(TEST_PYTHON) $(PYTHON) -c 'import numpy, PIL.Image, sys; \
		sys.exit({"numpy==" + numpy.__version__, "pillow==" + PIL.__version__} != set(sys.argv[1:]))' $(PACKAGES) 2>/dev/null \
		|| $(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target .cache/python $(PACKAGES)

# For the tests of replicas, which start one of their own.
postgres:
	@{ $(HAS_POSTGRES); } \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update --quiet \
			&& DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql; } \
		|| echo 'PostgreSQL is not here and cannot be installed: the tests of replicas will skip (Debian: apt-get install postgresql)'

lint:
	$(CARGO) fmt --all --check
	rustfmt --edition 2024 --check tests/fuzz/lib.rs tests/fuzz/targets/*.rs
	$(CARGO) clippy --workspace --all-targets -- --deny warnings

.venv/stamp: tests/reference/requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --requirement $<
	touch $@

reference: .venv/stamp
	.venv/bin/python tests/reference/make_golden.py
	.venv/bin/python tests/reference/make_golden_dinov3.py
	.venv/bin/python tests/reference/make_golden_sam.py
	.venv/bin/python tests/reference/make_heads.py
	.venv/bin/python tests/reference/make_golden_training.py
	.venv/bin/python tests/reference/make_golden_prototypes.py
	.venv/bin/python tests/reference/make_golden_optimiser.py
	.venv/bin/python tests/reference/make_images.py
	.venv/bin/python tests/reference/make_examples.py

# A run that was stopped goes on. Minutes on a GPU (PROVIDER=cuda), hours on two cores, for which RECIPE=demo-two-cores is made.
# PF-WILLOW is measured where it is: HOMOLOG_WILLOW=FOLDER.
HOMOLOG_WILLOW ?= ../shared/data/pf-willow
RECIPE ?= demo
PROVIDER ?= auto
train-demo: setup
	$(CARGO) build --release --workspace
	test -d .cache/train-demo/test || target/release/homolog-train synth --out .cache/train-demo/test --seed 3 --images 0,0,25 --pairs 0,0,70
	rm -rf .cache/train-demo/demo
	target/release/homolog-train pretrain --config src/train/recipes/$(RECIPE).toml --run .cache/train-demo/run-$(RECIPE) --resume \
		--provider $(PROVIDER) --out .cache/train-demo/demo --measure spair71k:test@.cache/train-demo/test \
		$(if $(wildcard $(HOMOLOG_WILLOW)),--measure pf-willow@$(HOMOLOG_WILLOW))
	rm -rf models/demo && cp -r .cache/train-demo/demo models/demo

study: setup
	$(CARGO) build --release --workspace
	$(PYTHON) src/train/study.py

bench-train: setup .venv/stamp
	$(CARGO) build --release --workspace
	.venv/bin/python tests/reference/bench_table.py

# Without the peer's environment the table says so where its rows would be.
bench: setup
	@$(MAKE) --no-print-directory peer || echo 'the environment of the Python server cannot be made: its rows will be missing'
	$(CARGO) build --release --workspace
	$(CARGO) bench --workspace --bench speed -- $(BENCH)
	$(if $(BENCH),,$(CARGO) bench --workspace --bench stages -- --quiet)

# FastAPI and uvicorn beside PyTorch and transformers, which are those of the reference.
peer: .cache/peer/stamp

.cache/peer/stamp: tests/peer/requirements.txt .venv/stamp
	.venv/bin/pip install --quiet --disable-pip-version-check --upgrade --target .cache/peer --requirement $<
	touch $@

# Their short forms are in `make test`.
LOAD := $(CARGO) test --release --workspace --test load -- --nocapture
load: setup
	$(CARGO) build --release --workspace
	HOMOLOG_LOAD_S=60 HOMOLOG_DISCONNECTS=1000 $(LOAD) --skip mixed_work

soak: setup
	$(CARGO) build --release --workspace
	HOMOLOG_SOAK_S=900 $(LOAD) mixed_work

# Its nightly compiler is rustup's: rustup toolchain install nightly. FUZZ_TARGETS: some of tests/fuzz/targets instead of all.
FUZZ_SECONDS ?= 60
FUZZ_TOOLCHAIN ?= nightly
CARGO_FUZZ := 0.13.2
fuzz:
	@.cache/cargo-fuzz/bin/cargo-fuzz --version 2>/dev/null | grep -q ' $(CARGO_FUZZ)$$' \
		|| cargo '+$(FUZZ_TOOLCHAIN)' install cargo-fuzz --version '$(CARGO_FUZZ)' --locked --root .cache/cargo-fuzz
	@PATH="$(CURDIR)/.cache/cargo-fuzz/bin:$$PATH" FUZZ_TOOLCHAIN='$(FUZZ_TOOLCHAIN)' tests/fuzz/run.sh '$(FUZZ_SECONDS)' $(FUZZ_TARGETS)

# Installed beside, as Pillow is.
SCHEMATHESIS := .cache/python-schemathesis
$(SCHEMATHESIS)/stamp: tests/schemathesis/requirements.txt
	@rm -rf $(SCHEMATHESIS)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target $(SCHEMATHESIS) --requirement $<
	@touch $@
RUN_SCHEMATHESIS = PYTHONPATH='$(CURDIR)/$(SCHEMATHESIS)' $(PYTHON) tests/schemathesis/run.py \
	--binary "$${CARGO_TARGET_DIR:-target}/debug/homolog"

schemathesis: setup $(SCHEMATHESIS)/stamp
	$(CARGO) build --package homolog
	@$(RUN_SCHEMATHESIS) $(SCHEMATHESIS_OPTIONS)

# What `make test` has time for, with the binary that it has built.
schemathesis-short:
	@if $(MAKE) --silent $(SCHEMATHESIS)/stamp; then $(RUN_SCHEMATHESIS) --max-examples 20; \
		else echo 'Schemathesis cannot be installed: the service is not held to its OpenAPI document'; fi

openapi:
	$(CARGO) run --package homolog -- openapi > openapi/openapi.json.new
	mv openapi/openapi.json.new openapi/openapi.json

DOCKER ?= docker
# The host's network, for the build fetches crates and a wheel, and not every engine has another that leads out.
DOCKER_FLAGS ?= --network host
DOCKER_BUILD = COMMIT=$$(git rev-parse --short=12 HEAD 2>/dev/null || true); \
	$(DOCKER) buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0; \
	$(DOCKER) build $(DOCKER_FLAGS) --build-arg COMMIT=$$COMMIT --file docker/Dockerfile

# The stage on NVIDIA's image is built on Debian's: its files come together, CUDA is not tried.
docker: docker-here
	$(DOCKER_BUILD) --target cpu --tag homolog:cpu .
	$(DOCKER_BUILD) --target cuda --build-arg CUDA_IMAGE=debian:bookworm-slim --tag homolog:cuda-without-nvidia .
	@$(DOCKER) image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}' homolog
	docker/smoke.sh homolog:cpu

docker-cuda: docker-here
	$(DOCKER_BUILD) --target cuda --tag homolog:cuda .
	@$(DOCKER) image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}' homolog

.PHONY: docker-here
docker-here:
	@command -v $(DOCKER) >/dev/null || { echo 'There is no $(DOCKER) here: install Docker, or name a program like it by DOCKER=…'; exit 1; }
	@$(DOCKER) info >/dev/null 2>&1 || { echo 'The Docker engine does not answer ($(DOCKER) info says why): start it, or join its group'; exit 1; }

parity: setup .venv/stamp
	$(CARGO) build --release --package homolog-train
	.venv/bin/python tests/reference/parity_table.py --train target/release/homolog-train --out .cache/parity $(PARITY)

COCO_PHOTO := http://images.cocodataset.org/val2017/000000039769.jpg
# HOMOLOG_COCO=FILE: one that is here already.
COCO_FILE = $(or $(HOMOLOG_COCO),$(CURDIR)/.cache/published/000000039769.jpg)
COCO_TENSOR := $(CURDIR)/.cache/published/coco-39769.safetensors

# First of all, before gigabytes are fetched.
.PHONY: published-files
published-files:
	@test -e '$(HOMOLOG_DINOV3)' || { echo 'HOMOLOG_DINOV3=FILE: a released DINOv3 checkpoint (.pth or .safetensors), which Meta gives on' \
		'request at https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/'; exit 1; }
	@test -f '$(COCO_FILE)' || { test -z '$(HOMOLOG_COCO)' || { echo 'HOMOLOG_COCO: there is no file $(HOMOLOG_COCO)'; exit 1; }; \
		mkdir -p '$(dir $(COCO_FILE))' && $(PYTHON) -c 'import sys, urllib.request as u; \
			open(sys.argv[2], "wb").write(u.urlopen(sys.argv[1], timeout=30).read())' '$(COCO_PHOTO)' '$(COCO_FILE).part' 2>/dev/null \
			&& mv '$(COCO_FILE).part' '$(COCO_FILE)' \
			|| { rm -f '$(COCO_FILE).part'; echo 'The photo of the published values, $(COCO_PHOTO), cannot be fetched:' \
				'get it elsewhere and name it by HOMOLOG_COCO=FILE'; exit 1; }; }

parity-published: published-files setup .venv/stamp
	.venv/bin/python tests/reference/published.py '$(COCO_FILE)' $(COCO_TENSOR)
	HOMOLOG_DINOV3='$(abspath $(HOMOLOG_DINOV3))' HOMOLOG_COCO_TENSOR=$(COCO_TENSOR) \
		$(CARGO) test --workspace --test published -- --ignored --nocapture

pck-published: setup
	@test -f '$(HOMOLOG_DINOV2)' || { echo 'HOMOLOG_DINOV2=FILE: dinov2_vitb14_pretrain.pth (homolog-train pull dinov2-vitb14)'; exit 1; }
	HOMOLOG_DINOV2='$(abspath $(HOMOLOG_DINOV2))' $(CARGO) test --release --workspace --test willow -- --ignored --nocapture
