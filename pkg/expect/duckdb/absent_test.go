//go:build !cgo

package duckdb

import (
	"strings"
	"testing"
)

// Without cgo the package builds, and says what is missing and what to do.
func TestOpenSaysThatTheEngineIsAbsent(t *testing.T) {
	e, err := Open(t.Context(), Options{})
	if Present || e != nil || err == nil || !strings.Contains(err.Error(), "built without the SQL engine") || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("got %v, %v", e, err)
	}
}
