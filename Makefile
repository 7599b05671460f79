# The two that a newcomer needs are `make demo` and `make test`.

.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help

# How long `make fuzz` spends on each target.
FUZZTIME ?= 30s

# What must be there, each as command:packages. The race detector needs a C
# compiler; some tests hold our work against that of openssl, curl and ssh-keygen.
NEEDS := go:golang-go,ca-certificates gcc:gcc,libc6-dev openssl:openssl curl:curl ssh-keygen:openssh-client

# The tools have a module of their own, out of the graph of those who import ours.
TOOL := go tool -modfile=tools/go.mod

.PHONY: help demo test lint generate fuzz bench build vuln setup clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | expand -t 12

demo: ## form a cluster of five members on a real registry
	go run ./cmd/xlreg demo -n 5

test: setup ## install what is missing, then vet and test with the race detector
	go vet ./...
	go -C tools vet ./...
	CGO_ENABLED=1 go test -race ./...

lint: ## run golangci-lint (the first time it is compiled, which takes minutes)
	$(TOOL) golangci-lint run ./...

generate: ## write the generated files anew
	go generate ./docs/vectors
	go run -C tools ./genproto ../wire/xlreg.proto ../wire/xlregpb/xlreg.pb.go

fuzz: ## fuzz every target for FUZZTIME (30s)
	@for dir in $$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir"/*_test.go); do \
			echo "== $$dir $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir"; \
		done; \
	done

bench: ## run the benchmarks, which print the measured goals
	go test -run '^$$' -bench . ./...

build: ## build the program into bin/
	go build -trimpath -o bin/xlreg ./cmd/xlreg

vuln: ## look for known vulnerabilities (asks vuln.go.dev)
	$(TOOL) govulncheck ./...

setup: ## install what the tests need: Debian packages, Go modules
	@missing=; \
	for need in $(NEEDS); do \
		command -v "$${need%%:*}" >/dev/null || missing="$$missing $$(echo "$${need#*:}" | tr , ' ')"; \
	done; \
	if [ -n "$$missing" ]; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; \
	fi
	@go mod download
	@go -C tools build ./genproto google.golang.org/protobuf/cmd/protoc-gen-go

clean: ## remove what was built
	rm -rf bin
