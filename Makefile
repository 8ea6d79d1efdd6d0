# Portcullis. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

NODE := node_modules/.bin/node
CLANG ?= clang
HOST_ARCH := $(shell uname -m | sed -e 's/x86_64/x86/' -e 's/aarch64/arm64/')
# make build ARCH=arm64: the objects for the other kind of machine, in a folder of their own.
ARCH := $(HOST_ARCH)
UNIT_TESTS := $(foreach room,api flow policy kube/access timing terminal protocol operator/status,'src/$(room)/**/*.test.ts') 'tools/check-rooms.test.ts' 'tools/site/*.test.ts'
BUILD := build/bpf$(if $(filter-out $(HOST_ARCH),$(ARCH)),-$(ARCH))
OBJECTS := $(addprefix $(BUILD)/,$(addsuffix .bpf.o,classifier sockets receivers processes gate devices flows telemetry layout noop))
BPF_HEADERS := $(wildcard bpf/include/*.h bpf/include/*/*.h bpf/vmlinux/*.h)
BPF_CFLAGS := -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -Ibpf/include -Ibpf/vmlinux -Wall -Wextra -Werror \
	-Wno-unused-parameter -Wno-missing-declarations -fno-stack-protector \
	-fmacro-prefix-map=bpf/= -fmacro-prefix-map=bpf/include/= \
	$(if $(filter-out $(HOST_ARCH),$(ARCH)),-include bpf/include/registers.h)

##@ First steps (as root, on a bare Debian with git, make and npm)

.PHONY: demo
demo: build ## Show the main job at work: ping, pong and an attacker, under a minute, leaves nothing behind
	@$(NODE) examples/demo/demo.ts

.PHONY: demo-learn
demo-learn: build ## Show how a profile is rolled out: watch, learn, replay, alert, drift, enforce; under a minute, leaves nothing behind
	@$(NODE) examples/demo/learn/demo-learn.ts

.PHONY: test
test: build ## Run every test: units, BPF programs, end to end on this kernel
	@tools/setup tests
	@$(NODE) tools/run-tests.ts

##@ Other kernels, real containers, a real cluster

.PHONY: test-kernels
test-kernels: build ## Run the tests on other kernels, 5.10 to 7.2, in QEMU (KERNEL=6.1 for one, JOBS=2 for two at a time)
	@tools/setup tests
	@test/kernels/setup
	@$(NODE) test/kernels/matrix.ts

.PHONY: test-containers
test-containers: build ## Run the tests with real containers: containerd, runc, CNI
	@tools/setup-cluster
	@$(NODE) --test --test-concurrency=1 'test/containers/*.test.ts'

.PHONY: test-cluster
test-cluster: build ## Run the tests on a real cluster of two nodes (builds Kubernetes once, minutes; then kept in ~/.cache)
	@tools/setup-cluster cluster
	@$(NODE) --disable-warning=ExperimentalWarning --test --test-isolation=none --test-reporter=spec \
		$(if $(ONLY),--test-name-pattern='$(ONLY)') 'test/cluster/*.test.ts'

.PHONY: test-engines
test-engines: setup ## Run the tests against programs of others: an OpenTelemetry Collector, Hubble (builds them with Go once, minutes; then kept in ~/.cache)
	@$(NODE) --disable-warning=ExperimentalWarning --test --test-concurrency=1 'test/engines/*.test.ts'

.PHONY: cluster-up
cluster-up: build ## Start the tests' cluster, with Portcullis' image on its nodes, to look at and to work with
	@tools/setup-cluster cluster
	@$(NODE) test/cluster/harness/main.ts up

.PHONY: cluster-shell
cluster-shell: ## Open a shell with kubectl and helm for that cluster
	@$${TMPDIR:-/tmp}/pc-cluster/bin/cluster-shell

.PHONY: cluster-down
cluster-down: ## End and remove it
	@$(NODE) test/cluster/harness/main.ts down

.PHONY: image
image: build ## Build the container image, as a tar file for ctr, docker or podman, without a network
	@$(NODE) tools/image/build-image.ts

##@ Development

.PHONY: setup
setup: ## Install what is missing: Debian packages and npm dependencies
	@tools/setup

PREFIX ?= /usr/local
.PHONY: install
install: build ## Install commands, completions and manual pages (PREFIX=/usr/local DESTDIR=)
	@$(NODE) --disable-warning=ExperimentalWarning tools/install.ts $(PREFIX) $(DESTDIR)

.PHONY: uninstall
uninstall: ## Remove what `make install` has put there; enforcement is taken off by `portcullis detach --all`
	@rm -rf $(DESTDIR)$(PREFIX)/lib/portcullis
	@cd $(DESTDIR)$(PREFIX) && rm -f bin/portcullis bin/kubectl-portcullis bin/kubectl_complete-portcullis \
		share/man/man1/portcullis.1 share/man/man1/portcullis-*.1 share/bash-completion/completions/portcullis \
		share/zsh/site-functions/_portcullis share/fish/vendor_completions.d/portcullis.fish

.PHONY: build
build: setup $(OBJECTS) ## Build the BPF objects
	@true

.PHONY: generate
generate: build ## Write the generated files again: CRD, ABI codecs, protocol, docs/metrics.md, docs/errors.md, docs/events.schema.json, config/
	$(NODE) tools/generate-crd.ts
	$(NODE) tools/generate-abi.ts
	$(NODE) tools/generate-protocol.ts
	$(NODE) tools/generate-metrics.ts
	$(NODE) tools/generate-events.ts
	$(NODE) tools/generate-errors.ts
	$(NODE) tools/helm/generate-config.ts

SNAPSHOT_TESTS := src/cli/output.test.ts src/cli/help-text.test.ts src/operator/status/conditions.test.ts
.PHONY: vmlinux
vmlinux: ## Write the kernel's types that the programs use (bpf/vmlinux) from the running kernel again
	@$(NODE) --disable-warning=ExperimentalWarning tools/pin-vmlinux.ts

.PHONY: snapshots
snapshots: build ## Write the texts again that commands and conditions are checked against (src/*/snapshots)
	@$(NODE) --disable-warning=ExperimentalWarning --test --test-reporter=dot --test-update-snapshots $(SNAPSHOT_TESTS)

.PHONY: lint
lint: setup ## Check types, style, and that rooms import only what they may (tools/rooms.ts)
	node_modules/.bin/tsc --noEmit
	node_modules/.bin/biome check --error-on-warnings .
	$(NODE) tools/check-rooms.ts

.PHONY: format
format: setup ## Format the source, and sort its imports
	node_modules/.bin/biome check --write .

.PHONY: test-unit
test-unit: setup ## Run the tests that need neither root nor BPF and start no other process
	@$(NODE) --disable-warning=ExperimentalWarning --test --test-isolation=none --test-reporter=dot $(UNIT_TESTS)

.PHONY: check
check: lint test-unit ## Lint and unit tests: what to run before a commit

.PHONY: verify
verify: build lint ## Lint, and check that generated files are up to date
	$(NODE) tools/generate-crd.ts --check
	$(NODE) tools/generate-abi.ts --check
	$(NODE) tools/generate-protocol.ts --check
	$(NODE) tools/generate-metrics.ts --check
	$(NODE) tools/generate-events.ts --check
	$(NODE) tools/generate-errors.ts --check
	$(NODE) tools/helm/generate-config.ts --check
	@$(MAKE) -s build ARCH=arm64

.PHONY: docs
docs: setup ## Write the documentation as a static site with a search, into build/docs
	@$(NODE) --disable-warning=ExperimentalWarning tools/site/main.ts build/docs

.PHONY: docs-test
docs-test: build ## Run the commands of every page as printed, and check what they name (DOCS_OUTPUT=yes shows what they print)
	@tools/setup tests
	@$(NODE) --disable-warning=ExperimentalWarning --test --test-concurrency=1 'test/docs/*.test.ts'

.PHONY: fuzz
fuzz: build ## Differential fuzzing of the BPF programs against the reference evaluator (FUZZ_SECONDS=60 SEED=...)
	$(NODE) test/fuzz/fuzz.ts --seconds $(or $(FUZZ_SECONDS),60) $(if $(SEED),--seed $(SEED))

.PHONY: fuzz-protocol
fuzz-protocol: setup ## Fuzzing of all that the network reaches: agents' protocol both ways, observers, HTTP, TLS (FUZZ_SECONDS=60 SEED=...)
	$(NODE) --disable-warning=ExperimentalWarning test/fuzz-protocol/fuzz.ts --seconds $(or $(FUZZ_SECONDS),60) $(if $(SEED),--seed $(SEED))

.PHONY: bench
bench: build build/bench/traffic ## Print ratios against a baseline of the same run (ARGS="--only dns --seconds 5")
	$(NODE) bench/bench.ts $(ARGS)

.PHONY: bench-plane
bench-plane: setup ## Measure the operator's event loop and other namespaces' edits while it is attacked (ARGS="--seconds 15 --only streams")
	$(NODE) --disable-warning=ExperimentalWarning bench/plane/plane.ts $(ARGS)

.PHONY: bench-scale
bench-scale: setup ## Measure the operator with 1,000 nodes, 50,000 pods and 1,000 profiles (ARGS="--nodes 100 --pods 3000 --profiles 100")
	@tools/setup-cluster cluster
	@PATH="$$PATH:/usr/local/go/bin" $(NODE) --disable-warning=ExperimentalWarning bench/scale/scale.ts $(ARGS)

.PHONY: bench-records
bench-records: setup ## Measure how fast records are kept, and found in 1 GiB of them (ARGS="--megabytes 256")
	@$(NODE) --disable-warning=ExperimentalWarning bench/records/records.ts $(ARGS)

build/bench/traffic: bench/traffic/traffic.c $(wildcard bench/traffic/*.h)
	mkdir -p build/bench
	gcc -O2 -Wall -Wextra -pthread -o $@ $<

.PHONY: clean
clean: ## Remove what was built
	rm -rf build

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BUILD)/%.bpf.o: bpf/%.bpf.c $(BPF_HEADERS) | $(BUILD)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/%.bpf.o: bpf/test/%.bpf.c $(BPF_HEADERS) | $(BUILD)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD):
	mkdir -p $@
