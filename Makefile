# The two that a newcomer needs are `make demo` and `make test`.

.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help

# How long `make fuzz` spends on each target.
FUZZTIME ?= 30s

# What must be there, each as command:packages. The race detector needs a C
# compiler; some tests hold our work against that of openssl, curl and ssh-keygen, and
# start clusters of etcd and NATS, and PostgreSQL, some of them on machines that ip makes
# of namespaces.
# Services that come with those are left alone.
NEEDS := go:golang-go,ca-certificates gcc:gcc,libc6-dev openssl:openssl curl:curl ssh-keygen:openssh-client \
	etcd:etcd-server nats-server:nats-server etcdctl:etcd-client ip:iproute2 python3:python3 ruby:ruby rubocop:rubocop \
	pg_ctlcluster:postgresql promtool:prometheus haproxy:haproxy systemd-socket-activate:systemd \
	git:git mmdebstrap:mmdebstrap systemd-nspawn:systemd-container nsenter:util-linux buildah:buildah lintian:lintian tmux:tmux \
	dpkg-deb:dpkg rpm:rpm zip:zip unzip:unzip groff:groff-base node:nodejs npm:npm chromium:chromium \
	keytool:default-jre-headless javac:default-jdk-headless erl:erlang-base,erlang-ssl \
	redis-server:redis-server redis-cli:redis-tools pytest:python3-pytest rabbitmqctl:rabbitmq-server

# The same for what is no command but a library of Ruby's, each as library:package.
RUBY_NEEDS := google/protobuf:ruby-google-protobuf minitest:ruby-minitest

# What `make recipes` installs besides, of Debian.
RECIPE_NEEDS := zookeeper libslf4j-java mariadb-server galera-4 mariadb-backup socat patroni python3-idna postgresql \
	openmpi-bin serf prometheus-alertmanager curl

# What is not Debian's goes into an environment of its own, programs in Go too.
RECIPE_VENV := internal/recipe/recipetest/.venv

# The Python client with what its tests need, in an environment of its own.
VENV := clients/python/.venv

# What judges whether everybody can use the page, from npm.
AXE := internal/admin/page/testdata/axe

# What builds the documentation has one of its own.
DOCS_VENV := docs/.venv

# What judges the admin API and its description.
OPENAPI := internal/admin/testdata/openapi

# The tools have a module of their own, out of the graph of those who import ours.
TOOL := go tool -modfile=tools/go.mod

# What `make test LONG=1` does besides: fuzzing, and the long forms of tests.
LONG ?=

.PHONY: help demo test docs lint generate fuzz torture recipes bench bench-peers build package package-test vuln setup

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 14

demo: build ## see a cluster of five members form on a real registry
	bin/xlreg demo -n 5

test: setup build docs ## install what is missing, then test everything, Go with the race detector; LONG=1 adds torture and fuzzing
	go vet ./...
	go -C tools vet ./...
	go -C examples/raftkv vet ./...
	CGO_ENABLED=1 go test -race -timeout 25m ./...
	cd clients/python && .venv/bin/ruff check . && .venv/bin/mypy
	cd clients/python && XLREG_BIN=$(CURDIR)/bin/xlreg .venv/bin/python -m pytest -q
	cd clients/ruby && rubocop --cache false
	cd clients/ruby && XLREG_BIN=$(CURDIR)/bin/xlreg ruby -Ilib -Itest -e 'Dir["test/test_*.rb"].sort.each { |f| require "./#{f}" }'
	$(if $(LONG),$(MAKE) fuzz torture)
	@[ "$$(id -u)" = 0 ] || echo 'Not root: the tests on namespaces (deploy/deploytest, examples, internal/partition, internal/linear), and on a full disk (internal/audit), were left out.'

docs: $(DOCS_VENV)/ready ## build the documentation site into docs/_build/html
	rm -rf docs/_build/html
	$(DOCS_VENV)/bin/sphinx-build -q -E -W --keep-going -n -b html docs docs/_build/html

$(DOCS_VENV)/ready: docs/requirements.txt
	python3 -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement docs/requirements.txt
	touch $@

lint: ## run golangci-lint (the first time it is compiled, which takes minutes)
	$(TOOL) golangci-lint run ./...

generate: ## write the generated files anew
	go generate ./docs/vectors
	go run -C tools ./genproto ../internal/wire/xlreg.proto ../internal/wire/xlregpb/xlreg.pb.go
	go run -C tools ./genproto ../internal/records/records.proto ../internal/records/recordspb/records.pb.go
	go test ./internal/metrics -run TestDocument -update
	go test ./internal/admin -run TestOpenAPIIsCommitted -update
	go test ./internal/archtest -run TestDocument -update
	go test ./cmd/xlreg -run TestReference -update

fuzz: ## fuzz every target for FUZZTIME (30s)
	@for dir in $$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir"/*_test.go); do \
			echo "== $$dir $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$dir"; \
		done; \
	done

torture: ## kill, starve, flood and cut off a real registry for minutes, and compare
	XLREG_LONG=1 go test -p 1 -count 1 -timeout 60m -v ./internal/hostile ./internal/torture ./internal/linear \
		./internal/partition
	XLREG_LONG=1 go test -p 1 -count 1 -timeout 60m -v ./client -run 'TestFormPast'
	XLREG_LONG=1 go test -p 1 -count 1 -timeout 60m -v ./internal/registry ./internal/store/mirror ./internal/store/etcd \
		-run 'TestFormation|TestCache|TestOneMember'

recipes: setup $(RECIPE_VENV)/ready ## install the systems that recipes know, run each of them, and write the results into docs/recipes.md
	@sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	for package in $(RECIPE_NEEDS); do \
		dpkg -s "$$package" >/dev/null 2>&1 || \
			$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$$package" || \
			echo "$$package cannot be installed here"; \
	done
	XLREG_RECIPES=all go test -count 1 -timeout 90m -v ./internal/recipe/recipetest -update

$(RECIPE_VENV)/ready: internal/recipe/recipetest/requirements.txt tools/recipes/go.mod $(wildcard examples/raftkv/*)
	python3 -m venv $(RECIPE_VENV)
	$(RECIPE_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement internal/recipe/recipetest/requirements.txt
	go -C tools/recipes build -trimpath -ldflags=-s -o $(CURDIR)/$(RECIPE_VENV)/bin/ github.com/hashicorp/consul
	go -C examples/raftkv build -trimpath -o $(CURDIR)/$(RECIPE_VENV)/bin/ .
	touch $@

bench: ## run the benchmarks, which print the measured goals
	go test -run '^$$' -bench . -timeout 60m ./...

bench-peers: ## measure against etcd, discovery-service and memberlist, side by side
	cd bench/peers && go run . $(ARGS)

build: ## build the program into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/xlreg ./cmd/xlreg

package: setup ## build what is released into dist/: packages, archives, images; SIGN_KEY=FILE signs the checksums
	deploy/package.sh

package-test: setup ## build everything that is released twice, compare, and try all of it out
	XLREG_LONG=1 go test -count 1 -timeout 90m -v ./deploy/deploytest -run TestRelease

vuln: ## look for known vulnerabilities (asks vuln.go.dev)
	$(TOOL) govulncheck ./...

setup: ## install what the tests need: Debian packages, Go modules, a Python environment, axe-core
	@missing=; PATH="$$PATH:/usr/sbin"; \
	for need in $(NEEDS); do \
		command -v "$${need%%:*}" >/dev/null || missing="$$missing $$(echo "$${need#*:}" | tr , ' ')"; \
	done; \
	for need in $(RUBY_NEEDS); do \
		ruby -e "require '$${need%%:*}'" 2>/dev/null || missing="$$missing $${need#*:}"; \
	done; \
	python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; \
	fi
	@go mod download
	@if [ ! -e $(VENV)/ready ] || [ clients/python/pyproject.toml -nt $(VENV)/ready ]; then \
		python3 -m venv $(VENV); \
		$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable 'clients/python[dev,package]'; \
		touch $(VENV)/ready; \
	fi
	@cd $(AXE) && [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --ignore-scripts --no-audit --no-fund
	@go -C tools/release build -o /dev/null github.com/goreleaser/nfpm/v2/cmd/nfpm
	@$(MAKE) -s --no-print-directory $(DOCS_VENV)/ready
	@if [ ! -e $(OPENAPI)/.venv/ready ] || [ $(OPENAPI)/requirements.txt -nt $(OPENAPI)/.venv/ready ]; then \
		python3 -m venv $(OPENAPI)/.venv; \
		$(OPENAPI)/.venv/bin/pip install --quiet --disable-pip-version-check --requirement $(OPENAPI)/requirements.txt; \
		touch $(OPENAPI)/.venv/ready; \
	fi
	@cd $(OPENAPI) && if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then npm ci --no-audit --no-fund --silent; fi
	@go -C tools build ./genproto google.golang.org/protobuf/cmd/protoc-gen-go
