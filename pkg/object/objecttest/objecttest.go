// Package objecttest checks that a store keeps the contract of object.Store.
package objecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kreplay/pkg/object"
)

// Run runs the suite. open returns an empty store and registers its cleanup.
// Whether "a" and "a/b" may both be objects is left to the stores: in a bucket
// they may, in a directory they cannot. Each says so in its own tests.
func Run(t *testing.T, open func(t *testing.T) object.Store) {
	laws := []struct {
		name string
		law  func(*testing.T, object.Store)
	}{
		{"what is written is read", roundTrip},
		{"nothing shows before close", hidden},
		{"abort leaves nothing", abort},
		{"replaced as a whole", replace},
		{"a replacement has another ETag", tagged},
		{"listed in key order", order},
		{"a listing can stop and start again", stop},
		{"absent is ErrNotExist", absent},
		{"bad keys are ErrKey", badKeys},
		{"cancelled means stop", cancelled},
		{"read at any place", anyPlace},
		{"read at any place what is not there", anyPlaceAbsent},
		{"replaced while it is read at any place", anyPlaceReplaced},
		{"concurrent writers", concurrent},
	}
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) { l.law(t, open(t)) })
	}
}

// Put writes one object; a failure ends the test.
func Put(t testing.TB, s object.Store, key string, data []byte) {
	t.Helper()
	if err := put(t.Context(), s, key, data); err != nil {
		t.Fatal(err)
	}
}

func put(ctx context.Context, s object.Store, key string, data []byte) error {
	w, err := s.Create(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = w.Abort() }()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// Get reads one object; a failure ends the test.
func Get(t testing.TB, s object.Store, key string) string {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func keys(t *testing.T, s object.Store, prefix string) []string {
	t.Helper()
	var all []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Key)
	}
	return all
}

func wantKeys(t *testing.T, s object.Store, prefix string, want ...string) {
	t.Helper()
	if got := keys(t, s, prefix); !slices.Equal(got, want) {
		t.Errorf("list %q: got %q, want %q", prefix, got, want)
	}
}

func roundTrip(t *testing.T, s object.Store) {
	wantKeys(t, s, "")
	big := bytes.Repeat([]byte("kreplay "), 1<<16)
	for key, data := range map[string][]byte{"empty": nil, "a/b/c.gz": []byte("x"), "ä/ö ü+%=&": []byte("y"), "big": big} {
		Put(t, s, key, data)
		if got := Get(t, s, key); got != string(data) {
			t.Errorf("%s: read %d bytes, want %d or other content", key, len(got), len(data))
		}
	}
	for info, err := range s.List(t.Context(), "big") {
		if err != nil || info.Size != int64(len(big)) || time.Since(info.Modified).Abs() > time.Hour {
			t.Errorf("list: got %+v, %v, want size %d, modified now", info, err, len(big))
		}
	}
}

func hidden(t *testing.T, s object.Store) {
	w, err := s.Create(t.Context(), "d/k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "")
	wantAbsent(t, s, "d/k")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "", "d/k")
	if err := w.Close(); !errors.Is(err, object.ErrDone) {
		t.Errorf("second close: got %v, want ErrDone", err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, object.ErrDone) {
		t.Errorf("write after close: got %v, want ErrDone", err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("abort after close: %v", err)
	}
	if got := Get(t, s, "d/k"); got != "half" {
		t.Errorf("after abort after close: got %q", got)
	}
}

func abort(t *testing.T, s object.Store) {
	Put(t, s, "k", []byte("old"))
	w, err := s.Create(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Abort(), w.Abort()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, object.ErrDone) {
		t.Errorf("close after abort: got %v, want ErrDone", err)
	}
	wantKeys(t, s, "", "k")
	if got := Get(t, s, "k"); got != "old" {
		t.Errorf("after abort: got %q, want old", got)
	}
}

func replace(t *testing.T, s object.Store) {
	Put(t, s, "k", []byte("old"))
	r, err := s.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	Put(t, s, "k", []byte("newer"))
	if got := Get(t, s, "k"); got != "newer" {
		t.Errorf("got %q, want newer", got)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "old" {
		t.Errorf("reader opened before: got %q, %v, want old", got, err)
	}
}

// tagged also replaces an object by one of the same size within the same second.
func tagged(t *testing.T, s object.Store) {
	tag := func() string {
		for info, err := range s.List(t.Context(), "k") {
			if err != nil || info.ETag == "" {
				t.Fatalf("list: %+v, %v, want an ETag", info, err)
			}
			return info.ETag
		}
		t.Fatal("k is not listed")
		return ""
	}
	Put(t, s, "k", []byte("old"))
	old := tag()
	if again := tag(); again != old {
		t.Errorf("ETag %q, then %q, of the same object", old, again)
	}
	Put(t, s, "k", []byte("new"))
	if young := tag(); young == old {
		t.Errorf("ETag %q before and after it was replaced", old)
	}
}

func order(t *testing.T, s object.Store) {
	want := []string{"a-b", "a.b", "a/b", "a/c/d", "a/c0", "a0", "aa/b", "b", "é"}
	for _, k := range []int{3, 8, 0, 5, 2, 7, 1, 6, 4} {
		Put(t, s, want[k], []byte("x"))
	}
	wantKeys(t, s, "", want...)
	wantKeys(t, s, "a/", "a/b", "a/c/d", "a/c0")
	wantKeys(t, s, "a/c", "a/c/d", "a/c0")
	wantKeys(t, s, "a/b", "a/b")
	wantKeys(t, s, "a/c/d", "a/c/d")
	wantKeys(t, s, "a/c/d/")
	for _, none := range []string{"z", "/", "../", "a//"} {
		wantKeys(t, s, none)
	}
}

func stop(t *testing.T, s object.Store) {
	Put(t, s, "a/1", nil)
	Put(t, s, "a/2", nil)
	list := s.List(t.Context(), "")
	for range 2 {
		for info, err := range list {
			if err != nil || info.Key != "a/1" {
				t.Errorf("first key: got %q, %v, want a/1", info.Key, err)
			}
			break
		}
	}
}

func wantAbsent(t *testing.T, s object.Store, key string) {
	t.Helper()
	if r, err := s.Open(t.Context(), key); !errors.Is(err, object.ErrNotExist) {
		t.Errorf("open %q: got %v, want ErrNotExist", key, err)
		if err == nil {
			_ = r.Close()
		}
	}
}

func absent(t *testing.T, s object.Store) {
	Put(t, s, "a/b", nil)
	for _, key := range []string{"x", "x/y", "a", "a/b/c"} {
		wantAbsent(t, s, key)
	}
}

func badKeys(t *testing.T, s object.Store) {
	for _, key := range []string{"", ".", "..", "/a", "a/", "a//b", "a/../b", "../a", "./a", "a\x00b", "a\xff", ".tmp-a", "a/.tmp-b/c"} {
		if _, err := s.Open(t.Context(), key); !errors.Is(err, object.ErrKey) {
			t.Errorf("open %q: got %v, want ErrKey", key, err)
		}
		if _, err := s.Create(t.Context(), key); !errors.Is(err, object.ErrKey) {
			t.Errorf("create %q: got %v, want ErrKey", key, err)
		}
	}
}

func cancelled(t *testing.T, s object.Store) {
	Put(t, s, "k", []byte("old"))
	ctx, cancel := context.WithCancelCause(t.Context())
	w, err := s.Create(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("enough")
	cancel(cause)
	if err := w.Close(); !errors.Is(err, cause) {
		t.Errorf("close: got %v, want %v", err, cause)
	}
	if _, err := s.Open(ctx, "k"); !errors.Is(err, cause) {
		t.Errorf("open: got %v, want %v", err, cause)
	}
	if _, err := s.Create(ctx, "k"); !errors.Is(err, cause) {
		t.Errorf("create: got %v, want %v", err, cause)
	}
	var last error
	for _, err := range s.List(ctx, "") {
		last = err
	}
	if !errors.Is(last, cause) {
		t.Errorf("list: got %v, want %v", last, cause)
	}
	wantKeys(t, s, "", "k")
	if got := Get(t, s, "k"); got != "old" {
		t.Errorf("after a cancelled write: got %q, want old", got)
	}
}

func concurrent(t *testing.T, s object.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			own, shared := fmt.Sprintf("d/%d", i), strings.Repeat(fmt.Sprint(i), 100)
			if err := errors.Join(put(t.Context(), s, own, []byte(own)), put(t.Context(), s, "d/s", []byte(shared))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := keys(t, s, "d/"); len(got) != 9 {
		t.Errorf("got %q, want 9 keys", got)
	}
	if got := Get(t, s, "d/s"); len(got) != 100 || strings.Trim(got, got[:1]) != "" {
		t.Errorf("shared key: got a mixture %q", got)
	}
}

// seeker is s, or nothing to test.
func seeker(t *testing.T, s object.Store) object.Seeker {
	t.Helper()
	at, ok := s.(object.Seeker)
	if !ok {
		t.Skip("no object.Seeker")
	}
	return at
}

func openAt(t *testing.T, s object.Seeker, key string) object.ReaderAt {
	t.Helper()
	r, err := s.OpenAt(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func anyPlace(t *testing.T, store object.Store) {
	s := seeker(t, store)
	data := make([]byte, 5<<20/2+7)
	for i := range data {
		data[i] = byte(i*i>>8 ^ i)
	}
	Put(t, s, "d/k", data)
	Put(t, s, "none", nil)
	r := openAt(t, s, "d/k")
	if r.Size() != int64(len(data)) {
		t.Errorf("size %d, want %d", r.Size(), len(data))
	}
	var wg sync.WaitGroup
	for _, at := range []int{len(data) - 8, 0, 1, 1<<20 - 3, 1 << 20, 3, 2<<20 - 1, len(data) - 1} {
		for _, n := range []int{0, 1, 8, 1000, 1<<20 + 9} {
			wg.Go(func() {
				p, want := make([]byte, n), data[at:min(at+n, len(data))]
				got, err := r.ReadAt(p, int64(at))
				if !bytes.Equal(p[:got], want) || err != nil && (!errors.Is(err, io.EOF) || at+n < len(data)) || err == nil && got < n {
					t.Errorf("%d bytes at %d: got %d bytes, %v, want %d", n, at, got, err, len(want))
				}
			})
		}
	}
	wg.Wait()
	for _, r := range []object.ReaderAt{r, openAt(t, s, "none")} {
		if n, err := r.ReadAt(make([]byte, 1), r.Size()); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("behind the end: %d, %v, want io.EOF", n, err)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("before the beginning: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("read after close")
	}
}

func anyPlaceAbsent(t *testing.T, store object.Store) {
	s := seeker(t, store)
	Put(t, s, "a/b", nil)
	for _, key := range []string{"x", "a", "a/b/c"} {
		if _, err := s.OpenAt(t.Context(), key); !errors.Is(err, object.ErrNotExist) {
			t.Errorf("open %q: got %v, want ErrNotExist", key, err)
		}
	}
	if _, err := s.OpenAt(t.Context(), "a//b"); !errors.Is(err, object.ErrKey) {
		t.Errorf("bad key: got %v, want ErrKey", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := s.OpenAt(ctx, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	cause := errors.New("enough")
	cancel(cause)
	if _, err := s.OpenAt(ctx, "a/b"); !errors.Is(err, cause) {
		t.Errorf("open: got %v, want %v", err, cause)
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); !errors.Is(err, cause) {
		t.Errorf("read: got %v, want %v", err, cause)
	}
}

// What was replaced is read as it was, or not at all.
func anyPlaceReplaced(t *testing.T, store object.Store) {
	s := seeker(t, store)
	Put(t, s, "k", []byte("old"))
	r := openAt(t, s, "k")
	Put(t, s, "k", []byte("new"))
	p := make([]byte, 3)
	if n, err := r.ReadAt(p, 0); string(p[:n]) != "old" && (err == nil || n > 0) {
		t.Errorf("got %q, %v, want old or an error", p[:n], err)
	}
}
