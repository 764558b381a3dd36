package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The real lake: every row is read, and none of it is damage.
func TestRealLake(t *testing.T) {
	const root = "../../../shared/data/activity-lake"
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no real lake: %v", err)
	}
	store, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	var rows, newlines, damage atomic.Int64
	stats, err := ScanAll(t.Context(), store, Sweep{
		Prefix: "activity/", Workers: 2,
		Row: func(r Row) error {
			rows.Add(1)
			if r.Newline {
				newlines.Add(1)
			}
			return nil
		},
		Damage: func(d Damage) error { damage.Add(1); t.Errorf("%+v", d); return nil },
	})
	if err != nil || stats.Objects != 569 || stats.Rows != 8056 || rows.Load() != 8056 {
		t.Errorf("got %+v, %v, want 569 objects, 8056 rows", stats, err)
	}
	if n := newlines.Load(); n == 0 || n == 8056 {
		t.Errorf("newlines: got %d, want them on even days only", n)
	}
}

func someObjects(n int) memory {
	m := memory{data: map[string][]byte{"other": []byte("{}")}}
	for i := range n {
		m.data[fmt.Sprintf("p/%03d", i)] = []byte(strings.Repeat(`{"a":1}`, i))
	}
	return m
}

func ignore(Row) error          { return nil }
func ignoreDamage(Damage) error { return nil }

func TestScanAllKeepsAndCounts(t *testing.T) {
	keep := func(i object.Info) bool { return i.Key != "p/010" }
	stats, err := ScanAll(t.Context(), someObjects(20), Sweep{Prefix: "p/", Workers: 3, Keep: keep, Row: ignore, Damage: ignoreDamage})
	if want := (Stats{Objects: 19, Rows: 180, Bytes: 180 * 7, Plain: 180 * 7}); err != nil || stats != want {
		t.Errorf("got %+v, %v, want %+v", stats, err, want)
	}
}

func TestObjectsVisitsEachOnce(t *testing.T) {
	var n atomic.Int64
	err := Objects(t.Context(), someObjects(50), "p/", 0, func(context.Context, object.Info) error { n.Add(1); return nil })
	if err != nil || n.Load() != 50 {
		t.Errorf("got %d visits, %v, want 50", n.Load(), err)
	}
}

// What goes wrong outside of the data is an error, names the object, and ends all.
func TestErrorsEndTheScan(t *testing.T) {
	boom := errors.New("boom")
	zipped := map[string][]byte{"k": zip([]byte(strings.Repeat(`{"a":1}`, 40000)), 1), "d": []byte("{}x{")}
	fails := func(at int64) func(io.Reader) io.Reader {
		return func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, at), iotest.ErrReader(boom)) }
	}
	fail := func(Row) error { return boom }
	failDamage := func(Damage) error { return boom }
	plain := map[string][]byte{"k": []byte(strings.Repeat("{}", 10)), "x": []byte("x"), "xr": []byte("x {}"), "gz": []byte("\x1f\x8b")}
	tests := []struct {
		name   string
		store  memory
		key    string
		row    func(Row) error
		damage func(Damage) error
		want   error
	}{
		{"absent", memory{}, "none", ignore, ignoreDamage, object.ErrNotExist},
		{"read fails at once", memory{data: plain, wrap: fails(0)}, "k", ignore, ignoreDamage, boom},
		{"read fails", memory{data: plain, wrap: fails(5)}, "k", ignore, ignoreDamage, boom},
		{"read fails in a gzip header", memory{data: zipped, wrap: fails(5)}, "k", ignore, ignoreDamage, boom},
		{"read fails in gzip data", memory{data: zipped, wrap: fails(50)}, "k", ignore, ignoreDamage, boom},
		{"read fails before the next member", memory{data: zipped, wrap: fails(int64(len(zipped["k"])))}, "k", ignore, ignoreDamage, boom},
		{"read fails in damage", memory{data: zipped, wrap: fails(3)}, "d", ignore, ignoreDamage, boom},
		{"nothing comes", memory{data: plain, wrap: func(io.Reader) io.Reader { return idle{} }}, "k", ignore, ignoreDamage, io.ErrNoProgress},
		{"row", memory{data: plain}, "k", fail, ignoreDamage, boom},
		{"damage", memory{data: plain}, "x", ignore, failDamage, boom},
		{"damage before a row", memory{data: plain}, "xr", ignore, failDamage, boom},
		{"break", memory{data: plain}, "gz", ignore, failDamage, boom},
	}
	for _, test := range tests {
		stats, err := Scan(t.Context(), test.store, test.key, test.row, test.damage)
		if !errors.Is(err, test.want) || stats.Objects != 0 {
			t.Errorf("%s: got %+v, %v, want %v", test.name, stats, err, test.want)
		}
		if err != nil && !errors.Is(err, boom) && !strings.Contains(err.Error(), test.key) {
			t.Errorf("%s: %v does not name %s", test.name, err, test.key)
		}
	}
	listing := someObjects(3)
	listing.listErr = boom
	for name, sweep := range map[string]Sweep{
		"list": {Row: ignore, Damage: ignoreDamage}, "row of one": {Row: fail, Damage: ignoreDamage, Workers: 2},
	} {
		if _, err := ScanAll(t.Context(), listing, sweep); !errors.Is(err, boom) {
			t.Errorf("%s: got %v, want boom", name, err)
		}
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestCancelledMeansStop(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	m := memory{data: map[string][]byte{"k": []byte(strings.Repeat(`{"a":1}`, 100_000))}}
	_, err := Scan(ctx, m, "k", func(Row) error { cancel(cause); return nil }, ignoreDamage)
	if !errors.Is(err, cause) {
		t.Errorf("scan: got %v, want %v", err, cause)
	}
	if err := Objects(ctx, someObjects(9), "", 2, func(context.Context, object.Info) error { return nil }); !errors.Is(err, cause) {
		t.Errorf("objects: got %v, want %v", err, cause)
	}
}
