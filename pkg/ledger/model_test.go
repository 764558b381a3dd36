package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

// memory is a file in memory that remembers where each write ended.
type memory struct {
	bytes.Buffer
	ends []int
	fail error
}

func (m *memory) Write(p []byte) (int, error) {
	if m.fail != nil {
		n, _ := m.Buffer.Write(p[:len(p)/2])
		return n, m.fail
	}
	n, err := m.Buffer.Write(p)
	m.ends = append(m.ends, m.Len())
	return n, err
}
func (m *memory) Sync() error  { return m.fail }
func (m *memory) Close() error { return nil }

// begin starts a ledger in memory.
func begin(t testing.TB, m Manifest) (*Writer, *memory) {
	t.Helper()
	f := &memory{}
	w := newWriter(f, m, time.Now())
	if err := w.write([]byte(header)); err != nil {
		t.Fatal(err)
	}
	return w, f
}

func readBytes(b []byte, planned uint64) (*Account, error) {
	return read(bufio.NewReader(bytes.NewReader(b)), Manifest{Planned: planned})
}

// model is the account as one would keep it without thinking of memory.
type model struct {
	planned, next uint64
	clean         bool
	reason        End
	attempts      map[uint64][]record.Outcome
	requests      uint64
}

func (m *model) attempt(recs []record.Record, outs []record.Outcome) {
	for i, r := range recs {
		m.attempts[r.Seq] = append(m.attempts[r.Seq], outs[i])
	}
	m.requests++
}

// final returns the fate of one record as a span of count 1.
func (m *model) final(seq uint64) Span {
	outs := slices.Clone(m.attempts[seq])
	acked := slices.ContainsFunc(outs, func(o record.Outcome) bool { return o.Fate == record.Acked })
	if !m.clean && seq < m.next && !acked {
		outs = append(outs, record.Outcome{Fate: record.Unknown, Code: CodeCrash})
	}
	s := Span{First: seq, Count: 1, Fate: record.Unsent}
	for _, o := range outs {
		if o.Fate == record.Unknown {
			s.Unknowns++
		}
		if strength[o.Fate] >= strength[s.Fate] {
			s.Fate, s.Code = o.Fate, o.Code
		}
	}
	if s.Fate == record.Acked {
		s.Code = ""
	}
	return s
}

// compare says where an account differs from the model.
func (m *model) compare(a *Account) error {
	if err := a.Check(); err != nil {
		return err
	}
	if a.Next != m.next || a.Clean != m.clean || a.Reason != m.reason {
		return fmt.Errorf("next %d, clean %v, reason %q; want %d, %v, %q", a.Next, a.Clean, a.Reason, m.next, m.clean, m.reason)
	}
	want := Attempts{Requests: m.requests}
	codes := map[string]uint64{}
	for _, outs := range m.attempts {
		for _, o := range outs {
			want.add(o.Fate, 1)
			if o.Fate != record.Acked && o.Code != "" {
				codes[o.Code]++
			}
		}
	}
	want.Unknown += a.Window
	if a.Attempts != want {
		return fmt.Errorf("attempts %+v, want %+v", a.Attempts, want)
	}
	if fmt.Sprint(a.Codes) != fmt.Sprint(codes) {
		return fmt.Errorf("codes %v, want %v", a.Codes, codes)
	}
	return m.compareFates(a)
}

func (m *model) compareFates(a *Account) error {
	var totals Totals
	var window, seq uint64
	var last Span
	for s := range a.Fates() {
		if s.First != seq || s.Count == 0 {
			return fmt.Errorf("span %+v, want one from %d", s, seq)
		}
		if seq > 0 && s.Fate == last.Fate && s.Unknowns == last.Unknowns && s.Code == last.Code {
			return fmt.Errorf("spans %+v and %+v are not merged", last, s)
		}
		last = s
		for range s.Count {
			got, want := Span{seq, 1, s.Fate, s.Unknowns, s.Code}, m.final(seq)
			if got != want {
				return fmt.Errorf("fate %+v, want %+v", got, want)
			}
			if !m.clean && seq < m.next && s.Fate != record.Acked {
				window++
			}
			*map[record.Fate]*uint64{record.Acked: &totals.Acked, record.Refused: &totals.Refused,
				record.Unknown: &totals.Unknown, record.Unsent: &totals.Unsent}[s.Fate]++
			seq++
		}
	}
	if seq != m.planned || a.Window != window || a.Totals() != totals {
		return fmt.Errorf("planned %d, window %d, totals %+v; want %d, %d, %+v", seq, a.Window, a.Totals(), m.planned, window, totals)
	}
	return nil
}

// request draws records below the mark, often in runs, and their outcomes.
func (m *model) request(t *rapid.T) (recs []record.Record, outs []record.Outcome) {
	for range rapid.IntRange(1, 3).Draw(t, "runs") {
		seq := rapid.Uint64Range(0, m.next-1).Draw(t, "seq")
		n := min(rapid.Uint64Range(1, 12).Draw(t, "count"), m.next-seq)
		fate := record.Fate(rapid.IntRange(0, 2).Draw(t, "fate"))
		code := ""
		if fate != record.Acked {
			code = rapid.SampledFrom([]string{"", "timeout", CodeCrash, "ProvisionedThroughputExceededException"}).Draw(t, "code")
		}
		for i := range n {
			recs = append(recs, record.Record{Seq: seq + i})
			outs = append(outs, record.Outcome{Fate: fate, Code: code})
		}
	}
	return recs, outs
}

// Whatever is attempted, in whatever order, the account says of each record
// what a plain list of its attempts says; and so it does after a cut anywhere.
func TestAccountIsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{planned: rapid.Uint64Range(1, 60).Draw(rt, "planned"), attempts: map[uint64][]record.Outcome{}}
		w, f := begin(t, Manifest{Planned: m.planned})
		for range rapid.IntRange(0, 30).Draw(rt, "steps") {
			if m.next == 0 || rapid.IntRange(0, 3).Draw(rt, "step") == 0 {
				next := rapid.Uint64Range(0, m.planned).Draw(rt, "next")
				if err := w.Mark(next); err != nil {
					rt.Fatal(err)
				}
				m.next = max(m.next, next)
			} else {
				recs, outs := m.request(rt)
				if err := w.Attempt(recs, outs); err != nil {
					rt.Fatal(err)
				}
				m.attempt(recs, outs)
			}
			a, err := readBytes(f.Bytes(), m.planned)
			if err != nil {
				rt.Fatal(err)
			}
			if err := m.compare(a); err != nil {
				rt.Fatal(err)
			}
		}
		if rapid.Bool().Draw(rt, "close") {
			m.clean, m.reason = true, rapid.SampledFrom(ends[:]).Draw(rt, "reason")
			if err := w.Close(m.reason); err != nil {
				rt.Fatal(err)
			}
		}
		a, err := readBytes(f.Bytes(), m.planned)
		if err != nil {
			rt.Fatal(err)
		}
		if err := m.compare(a); err != nil {
			rt.Fatal(err)
		}
	})
}

// Layers add up as the model does also when there are many of them.
func TestLayersManyPieces(t *testing.T) {
	const planned = 30_000
	m := &model{planned: planned, next: planned, attempts: map[uint64][]record.Outcome{}}
	w, f := begin(t, Manifest{Planned: planned})
	if err := w.Mark(planned); err != nil {
		t.Fatal(err)
	}
	for try := range uint64(3) { // every third record, backwards, is not acked at first
		for seq := planned - 1; seq >= 0; seq-- {
			if try > 0 && uint64(seq)%(try+2) != 0 {
				continue
			}
			o := record.Outcome{Fate: record.Acked}
			if uint64(seq)%3 == 0 {
				o = record.Outcome{Fate: record.Fate(2 * (uint64(seq+int(try)) % 2)), Code: "x"}
			}
			recs, outs := []record.Record{{Seq: uint64(seq)}}, []record.Outcome{o}
			if err := w.Attempt(recs, outs); err != nil {
				t.Fatal(err)
			}
			m.attempt(recs, outs)
		}
	}
	a, err := readBytes(f.Bytes(), planned)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.compare(a); err != nil {
		t.Error(err)
	}
}

// sample is a ledger with all kinds of frames, and the model after each of them.
func sample(t testing.TB) (*memory, []model) {
	w, f := begin(t, Manifest{Planned: 200})
	m := model{planned: 200, attempts: map[uint64][]record.Outcome{}}
	states := []model{{planned: 200}}
	keep := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
		c := m
		c.attempts = map[uint64][]record.Outcome{}
		for seq, outs := range m.attempts {
			c.attempts[seq] = slices.Clone(outs)
		}
		states = append(states, c)
	}
	attempt := func(first, count uint64, outcome func(uint64) record.Outcome) {
		var recs []record.Record
		var outs []record.Outcome
		for seq := first; seq < first+count; seq++ {
			recs, outs = append(recs, record.Record{Seq: seq}), append(outs, outcome(seq))
		}
		m.attempt(recs, outs)
		keep(w.Attempt(recs, outs))
	}
	mark := func(next uint64) { m.next = next; keep(w.Mark(next)) }
	acked := func(uint64) record.Outcome { return record.Outcome{Fate: record.Acked} }
	unknown := func(uint64) record.Outcome { return record.Outcome{Fate: record.Unknown, Code: "timeout"} }
	mixed := func(seq uint64) record.Outcome {
		if seq%7 == 3 {
			return record.Outcome{Fate: record.Refused, Code: "ProvisionedThroughputExceededException"}
		}
		return record.Outcome{Fate: record.Acked}
	}
	mark(50)
	mark(150)
	attempt(50, 100, mixed)
	attempt(0, 50, unknown)
	attempt(0, 25, acked)
	attempt(52, 1, unknown)
	mark(180)
	attempt(150, 30, mixed)
	m.clean, m.reason = true, Stopped
	keep(w.Close(Stopped))
	return f, states
}

// A ledger that is cut anywhere says what it said when the frames that are left
// had been written: acks are never invented, and nothing is sent above the mark.
func TestCutAnywhere(t *testing.T) {
	f, states := sample(t)
	for cut := range f.Len() + 1 {
		a, err := readBytes(f.Bytes()[:cut], 200)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		frames, torn := 0, cut
		for i, end := range f.ends {
			if end <= cut {
				frames, torn = i, cut-end
			}
		}
		if a.Cut != int64(torn) {
			t.Errorf("cut at %d: %d bytes torn, want %d", cut, a.Cut, torn)
		}
		if err := states[frames].compare(a); err != nil {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

// A damaged byte ends what is readable; nothing before it changes.
func TestFlippedByte(t *testing.T) {
	f, states := sample(t)
	for at := range f.Len() {
		for _, by := range []byte{1, 0x80, 0xff} {
			b := slices.Clone(f.Bytes())
			b[at] ^= by
			a, err := readBytes(b, 200)
			if at < len(header) {
				if err == nil {
					t.Errorf("byte %d of the header flipped, and no error", at)
				}
				continue
			}
			if err != nil {
				t.Errorf("byte %d flipped: %v", at, err)
				continue
			}
			frames, valid := 0, 0
			for i, end := range f.ends {
				if end <= at {
					frames, valid = i, end
				}
			}
			if a.Cut != int64(len(b)-valid) {
				t.Errorf("byte %d flipped: cut %d, want %d", at, a.Cut, len(b)-valid)
			}
			if err := states[frames].compare(a); err != nil {
				t.Errorf("byte %d flipped: %v", at, err)
			}
		}
	}
}

// After a failed write nothing more is written, and the account stays unclean:
// the attempt that could not be written is unknown, not unsent.
func TestFailedWrite(t *testing.T) {
	w, f := begin(t, Manifest{Planned: 10})
	if err := w.Mark(5); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	f.fail = full
	recs, outs := []record.Record{{Seq: 3}}, []record.Outcome{{Fate: record.Acked}}
	if err := w.Attempt(recs, outs); !errors.Is(err, full) {
		t.Errorf("Attempt = %v, want the write's error", err)
	}
	f.fail = nil
	size := f.Len()
	for name, err := range map[string]error{"Mark": w.Mark(9), "Attempt": w.Attempt(recs, outs), "Sync": w.Sync(), "Close": w.Close(Stopped)} {
		if !errors.Is(err, full) {
			t.Errorf("%s = %v, want the write's error", name, err)
		}
	}
	if f.Len() != size {
		t.Errorf("%d bytes were written behind the torn frame", f.Len()-size)
	}
	a, err := readBytes(f.Bytes(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Totals{Unknown: 5, Unsent: 5}); a.Totals() != want || a.Clean || a.Cut == 0 {
		t.Errorf("totals %+v, clean %v, cut %d; want %+v, unclean and cut", a.Totals(), a.Clean, a.Cut, want)
	}
}

// A frame whose checksum holds and that kreplay would not write is another
// program's: it is refused, never guessed at.
func TestForeignFrames(t *testing.T) {
	mark := string([]byte{kindMark, 10})
	for name, payloads := range map[string][]string{
		"no kind":               {""},
		"unknown kind":          {"?"},
		"mark without number":   {"m"},
		"mark and more":         {"m\x01\x01"},
		"mark above planned":    {"m\x0b"},
		"marks above planned":   {mark, "m\x01"},
		"attempt unmarked":      {"a\x00\x01\x00\x01\x01"},
		"attempt over the mark": {mark, "a\x00\x01\x00\x0b\x01"},
		"attempt before zero":   {mark, "a\x00\x01\x01\x01\x01"},
		"attempt at nothing":    {mark, "a\x00\x01\x00\x00\x01"},
		"attempt unsent":        {mark, "a\x00\x01\x00\x01\x03"},
		"fewer runs":            {mark, "a\x00\x02\x00\x01\x01"},
		"ack with code":         {mark, "a\x00\x01\x00\x01\x05\x01x"},
		"code skipped":          {mark, "a\x00\x01\x00\x01\x0a\x01x"},
		"code empty":            {mark, "a\x00\x01\x00\x01\x06\x00"},
		"code cut":              {mark, "a\x00\x01\x00\x01\x06\x02x"},
		"code twice":            {mark, "a\x00\x02\x00\x01\x06\x01x\x00\x01\x0a\x01x"},
		"end of another kind":   {"e\x00\x02\x00\x00\x00\x00"},
		"end cut":               {"e\x00\x00\x00\x00\x00"},
	} {
		file := []byte(header)
		for _, p := range payloads {
			file = appendFrame(file, []byte(p))
		}
		if a, err := readBytes(file, 10); err == nil {
			t.Errorf("%s: read as %+v", name, a)
		}
	}
}

// Lengths that no frame has end what is readable.
func TestForeignLengths(t *testing.T) {
	for name, tail := range map[string]string{
		"zeros": "\x00\x00\x00\x00\x00\x00\x00", "too large": "\xff\xff\xff\x7f", "too long": "\x80\x80\x80\x80\x01",
	} {
		a, err := readBytes([]byte(header+tail), 10)
		if err != nil || a.Cut != int64(len(tail)) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// A disk that cannot be read is an error, not a cut.
func TestUnreadable(t *testing.T) {
	f, _ := sample(t)
	for n := range f.Len() {
		broken := errors.New("input/output error")
		r := io.MultiReader(bytes.NewReader(f.Bytes()[:n]), iotest.ErrReader(broken))
		if _, err := read(bufio.NewReader(r), Manifest{Planned: 200}); !errors.Is(err, broken) {
			t.Fatalf("broken at %d: %v", n, err)
		}
	}
}

// Books that do not balance are noticed.
func TestCheck(t *testing.T) {
	f, _ := sample(t)
	for name, damage := range map[string]func(*Account){
		"planned": func(a *Account) { a.Manifest.Planned++ },
		"written": func(a *Account) { a.ledger.Requests++ },
		"fates":   func(a *Account) { a.totals.Acked, a.totals.Refused = 200, 0; a.ledger = a.Attempts },
	} {
		a, err := readBytes(f.Bytes(), 200)
		if err != nil || a.Check() != nil {
			t.Fatal(err, a.Check())
		}
		if damage(a); a.Check() == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestFrameTooLarge(t *testing.T) {
	w, _ := begin(t, Manifest{Planned: 1})
	if w.put(make([]byte, maxFrame+1)) == nil || w.Mark(1) == nil {
		t.Error("a frame over the limit was written")
	}
}

func FuzzFrame(f *testing.F) {
	m, _ := sample(f)
	r := reader{r: bufio.NewReader(bytes.NewReader(m.Bytes()[len(header):]))}
	var payloads []byte // each behind its length
	for {
		p, _, err := r.next()
		if err != nil || p == nil {
			break
		}
		payloads = append(append(payloads, byte(len(p))), p...)
	}
	f.Add(payloads)
	f.Fuzz(func(t *testing.T, b []byte) {
		file := []byte(header)
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			file = appendFrame(file, b[1:1+n])
			b = b[1+n:]
		}
		a, err := readBytes(file, 1000)
		if err != nil {
			return
		}
		seq := uint64(0)
		for s := range a.Fates() {
			if s.First != seq {
				t.Fatalf("span %+v, want one from %d", s, seq)
			}
			seq += s.Count
		}
		if seq != 1000 {
			t.Fatalf("fates of %d records, want 1000", seq)
		}
	})
}
