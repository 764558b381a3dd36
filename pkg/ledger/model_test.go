package ledger

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
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
	return readFrom(bytes.NewReader(b), planned)
}

func readFrom(r io.Reader, planned uint64) (*Account, error) {
	a := newAccount(Manifest{Planned: planned})
	var l layers
	err := a.segment(bufio.NewReader(r), &l)
	a.settle(l.all())
	return a, err
}

// model is the account as one would keep it without thinking of memory.
type model struct {
	planned, next uint64
	clean         bool
	reason        End
	attempts      map[uint64][]record.Outcome
	requests      uint64
	flight        []flying // begun and not answered, in order
}

type flying struct {
	number uint64
	recs   []record.Record
}

func (m *model) begin(number uint64, recs []record.Record) {
	m.flight = append(m.flight, flying{number, recs})
	m.requests++
	for _, r := range recs {
		m.next = max(m.next, r.Seq+1)
	}
}

// answer is about the i-th request in flight.
func (m *model) answer(i int, outs []record.Outcome) {
	for j, r := range m.flight[i].recs {
		m.attempts[r.Seq] = append(m.attempts[r.Seq], outs[j])
	}
	m.flight = slices.Delete(slices.Clone(m.flight), i, i+1)
}

// attempt sends one request and answers it.
func (m *model) attempt(w *Writer, recs []record.Record, outs []record.Outcome) error {
	number, err := w.Begin(recs)
	if err != nil {
		return err
	}
	m.begin(number, recs)
	m.answer(len(m.flight)-1, outs)
	return w.Answer(number, outs)
}

// window counts how often a record was in flight at the end.
func (m *model) window(seq uint64) (n int) {
	for _, f := range m.flight {
		for _, r := range f.recs {
			if r.Seq == seq {
				n++
			}
		}
	}
	return n
}

// final returns the fate of one record as a span of count 1.
func (m *model) final(seq uint64) Span {
	outs := slices.Clone(m.attempts[seq])
	for range m.window(seq) {
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
			window += uint64(m.window(seq))
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

// request draws records, often in runs, and their outcomes.
func (m *model) request(t *rapid.T) (recs []record.Record, outs []record.Outcome) {
	for range rapid.IntRange(1, 3).Draw(t, "runs") {
		seq := rapid.Uint64Range(0, m.planned-1).Draw(t, "seq")
		n := min(rapid.Uint64Range(1, 12).Draw(t, "count"), m.planned-seq)
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
		answers := map[uint64][]record.Outcome{}
		compare := func() {
			a, err := readBytes(f.Bytes(), m.planned)
			if err != nil {
				rt.Fatal(err)
			}
			if err := m.compare(a); err != nil {
				rt.Fatal(err)
			}
		}
		answer := func(i int) {
			number := m.flight[i].number
			m.answer(i, answers[number])
			if err := w.Answer(number, answers[number]); err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 30).Draw(rt, "steps") {
			if n := len(m.flight); n > 0 && rapid.Bool().Draw(rt, "answer") {
				answer(rapid.IntRange(0, n-1).Draw(rt, "which"))
			} else {
				recs, outs := m.request(rt)
				number, err := w.Begin(recs)
				if err != nil {
					rt.Fatal(err)
				}
				m.begin(number, recs)
				answers[number] = outs
			}
			compare()
		}
		if rapid.Bool().Draw(rt, "close") {
			for len(m.flight) > 0 {
				answer(0)
			}
			m.clean, m.reason = true, rapid.SampledFrom(ends[:]).Draw(rt, "reason")
			if err := w.Close(m.reason); err != nil {
				rt.Fatal(err)
			}
		}
		compare()
	})
}

// Layers add up as the model does also when there are many of them.
func TestLayersManyPieces(t *testing.T) {
	const planned = 30_000
	m := &model{planned: planned, next: planned, attempts: map[uint64][]record.Outcome{}}
	w, f := begin(t, Manifest{Planned: planned})
	for try := range uint64(3) { // every third record, backwards, is not acked at first
		for seq := planned - 1; seq >= 0; seq-- {
			if try > 0 && uint64(seq)%(try+2) != 0 {
				continue
			}
			o := record.Outcome{Fate: record.Acked}
			if uint64(seq)%3 == 0 {
				o = record.Outcome{Fate: record.Fate(2 * (uint64(seq) / 3 % 2)), Code: fmt.Sprint("try ", try)}
			}
			recs, outs := []record.Record{{Seq: uint64(seq)}}, []record.Outcome{o}
			if err := m.attempt(w, recs, outs); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.clean, m.reason = true, Complete // a crash window would hide the codes
	if err := w.Close(Complete); err != nil {
		t.Fatal(err)
	}
	a, err := readBytes(f.Bytes(), planned)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.compare(a); err != nil {
		t.Error(err)
	}
}

// The last attempt decides also when it stands in a layer of its own.
func TestLayersKeepTheirOrder(t *testing.T) {
	var l layers
	for i := range uint64(2 * batchSize) {
		l.add(piece{2 * i, 2*i + 1, state{fate: record.Refused, code: 1}})
	}
	l.add(piece{0, 1, state{fate: record.Refused, code: 2}})
	if got := l.all(); len(got) != 2*batchSize || got[0].code != 2 || got[1].code != 1 {
		t.Errorf("%d pieces, the first two %+v", len(got), got[:2])
	}
}
