.PHONY: check test bench demo

check: ## format, vet, lint
	@unformatted="$$(gofmt -l .)"; test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run

test:
	go test -race ./...

bench:
	go test -run '^$$' -bench . -benchmem ./...

demo:
	go run ./cmd/kreplay run smoke --local
