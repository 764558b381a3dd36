package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/local"
)

// A buffer that is not full is delivered when its oldest record is old, without anybody asking.
func TestIntervalDelivers(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, BufferInterval: 20 * time.Millisecond, Delimiter: "\n"})
	put(t, client(t, p, "AKID"), 0, 5)
	tick, limit := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for len(rows(lake(t, dir))) < 5 {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("nothing was delivered")
		}
	}
}

// A buffer is cut where its size is reached, and no sooner.
func TestSizeCutsObjects(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, BufferBytes: 1000})
	c := client(t, p, "AKID")
	put(t, c, 0, 90)
	flush(t, p)
	small := 0
	for key, object := range lake(t, dir) {
		if len(object) < 1000 {
			small++
		}
		if len(object) > 1000+len(text(90)) {
			t.Errorf("%s has %d bytes, a record too many", key, len(object))
		}
	}
	if f := p.Planted(); len(f) > 0 {
		t.Errorf("%d faults in a pipeline without any: %v", len(f), f[0])
	}
	if small > 1 {
		t.Errorf("%d objects below the size, want the last one only", small)
	}
}

// A lake that cannot be written is an error of Flush; nothing is lost, nothing is delivered twice, no fault is planted twice.
func TestFailedWriteIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, Prefix: "raw/", Delimiter: "\n", Faults: local.Faults{Of: 50, Drop: 5, Duplicate: 5}})
	blocker := filepath.Join(dir, "raw")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, client(t, p, "AKID"), 0, 50)
	for range 2 {
		if err := p.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "events") {
			t.Fatalf("Flush into a blocked lake: %v", err)
		}
	}
	if n := len(p.Planted()); n != 0 {
		t.Errorf("%d faults planted in no object", n)
	}
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	total := 0
	for _, n := range rows(lake(t, dir)) {
		total += n
	}
	if total != 50 || len(p.Planted()) != 10 {
		t.Errorf("%d rows and %d faults, want 50 (5 dropped, 5 twice) and 10", total, len(p.Planted()))
	}
}

// Under load the lake never shows a part of an object.
func TestObjectsAppearWhole(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, BufferBytes: 3000, Delimiter: "\n", Compression: "gzip"})
	c := client(t, p, "AKID")
	done := make(chan struct{})
	go func() { defer close(done); put(t, c, 0, 3000) }()
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		for _, key := range names(t, dir) {
			if object := lakeObject(t, filepath.Join(dir, key)); !strings.HasSuffix(object, "}\n") {
				t.Fatalf("%s ends with %q", key, object[max(0, len(object)-20):])
			}
		}
	}
}
