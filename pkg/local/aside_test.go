package local_test

import (
	"path"
	"slices"
	"testing"
	"time"

	"kreplay/pkg/local"
)

// asideFaults delays and misplaces some of 300 records.
func asideFaults(by time.Duration) local.Faults {
	return local.Faults{Seed: 3, Of: 300, Delay: 7, DelayBy: by, Misplace: 5, Drop: 2, Duplicate: 3, Truncate: 1}
}

// kindsOf lists the texts of a kind of fault, and where they are.
func kindsOf(p *local.Pipeline, kind string) (texts, objects []string) {
	for _, f := range p.Planted() {
		if f.Kind == kind {
			texts, objects = append(texts, string(f.Data)), append(objects, f.Object)
		}
	}
	return texts, objects
}

// What is held back comes with the next Flush, in an object of its own, and is
// listed all the time; what is misplaced comes at once, below another folder. In
// every format nothing comes twice, and nothing is lost.
func TestSetAsideIsExact(t *testing.T) {
	for _, format := range []string{local.JSON, local.CSV, local.Parquet} {
		t.Run("format "+format, func(t *testing.T) {
			dir := t.TempDir()
			f := asideFaults(time.Hour)
			f.Drop, f.Duplicate, f.Truncate = 0, 0, 0
			p := start(t, local.Config{Lake: dir, Format: format, Compression: "none", Delimiter: "\n", BufferInterval: time.Hour, Faults: f})
			put(t, client(t, p, "AKID"), 0, 300)
			flush(t, p)
			held, nowhere := kindsOf(p, local.Delayed)
			away, there := kindsOf(p, local.Misplaced)
			if len(held) != 7 || slices.ContainsFunc(nowhere, func(o string) bool { return o != "" }) || len(away) != 5 || len(slices.Compact(there)) != 1 {
				t.Fatalf("held back %q in %q, misplaced %q in %q; want 7 in none and 5 in one object", held, nowhere, away, there)
			}
			main := 0
			for key := range lake(t, dir) {
				if key != there[0] {
					main++
					if path.Dir(key) == path.Dir(there[0]) {
						t.Errorf("%s lies in the folder of %s", there[0], key)
					}
				}
			}
			flush(t, p)
			again, late := kindsOf(p, local.Delayed)
			if objects := lake(t, dir); !slices.Equal(held, again) || len(slices.Compact(late)) != 1 || main != 1 || objects[late[0]] == "" || len(objects) != 3 {
				t.Errorf("%q came in %q, of %d objects; want %q in one of 3", again, late, len(objects), held)
			}
			if format != local.JSON {
				return
			}
			got := rows(lake(t, dir))
			for i := range 300 {
				if got[text(i)] != 1 {
					t.Errorf("%s came %d times", text(i), got[text(i)])
				}
			}
			for _, row := range held {
				if n := rows(map[string]string{"": lake(t, dir)[late[0]]})[row]; n != 1 {
					t.Errorf("%s is %d times in the late object", row, n)
				}
			}
		})
	}
}

// Without a Flush, what is held back comes when its time is over, and Close waits for none of it.
func TestDelayEndsByItself(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, Delimiter: "\n", BufferInterval: 20 * time.Millisecond, Faults: asideFaults(0)})
	put(t, client(t, p, "AKID"), 0, 300)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		texts, objects := kindsOf(p, local.Delayed)
		if len(texts) == 7 && !slices.Contains(objects, "") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still held back: %q in %q", texts, objects)
		}
	}
	dir = t.TempDir()
	p = start(t, local.Config{Lake: dir, Delimiter: "\n", BufferInterval: time.Hour, Faults: asideFaults(time.Hour)})
	put(t, client(t, p, "AKID"), 0, 300)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if texts, objects := kindsOf(p, local.Delayed); len(texts) != 7 || slices.Contains(objects, "") {
		t.Errorf("after Close %q are in %q", texts, objects)
	}
}
