//go:build !cgo

package duckdb

import (
	"context"
	"errors"

	"kreplay/pkg/expect"
)

// Present says whether this binary has the engine.
const Present = false

// Open says that the engine is absent.
func Open(context.Context, Options) (expect.Engine, error) {
	return nil, errors.New("duckdb: this binary was built without the SQL engine (CGO_ENABLED=0): it cannot judge expectations in SQL; " +
		"build with CGO_ENABLED=1 and a C compiler, or take the release with the engine")
}
