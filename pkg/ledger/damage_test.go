package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"kreplay/pkg/record"
)

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
	var answers [][]record.Outcome
	send := func(first, count uint64, outcome func(uint64) record.Outcome) {
		var recs []record.Record
		var outs []record.Outcome
		for seq := first; seq < first+count; seq++ {
			recs, outs = append(recs, record.Record{Seq: seq}), append(outs, outcome(seq))
		}
		number, err := w.Begin(recs)
		m.begin(number, recs)
		keep(err)
		answers = append(answers, outs)
	}
	answer := func(i int) {
		number := m.flight[i].number
		m.answer(i, answers[number])
		keep(w.Answer(number, answers[number]))
	}
	attempt := func(first, count uint64, outcome func(uint64) record.Outcome) {
		send(first, count, outcome)
		answer(len(m.flight) - 1)
	}
	acked := func(uint64) record.Outcome { return record.Outcome{Fate: record.Acked} }
	unknown := func(uint64) record.Outcome { return record.Outcome{Fate: record.Unknown, Code: "timeout"} }
	mixed := func(seq uint64) record.Outcome {
		if seq%7 == 3 {
			return record.Outcome{Fate: record.Refused, Code: "ProvisionedThroughputExceededException"}
		}
		return record.Outcome{Fate: record.Acked}
	}
	send(50, 100, mixed)
	send(0, 50, unknown)
	answer(1)
	attempt(0, 25, acked)
	answer(0)
	attempt(52, 1, unknown)
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
	recs, outs := []record.Record{{Seq: 3}}, []record.Outcome{{Fate: record.Acked}}
	number, err := w.Begin(recs)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	f.fail = full
	if err := w.Answer(number, outs); !errors.Is(err, full) {
		t.Errorf("Answer = %v, want the write's error", err)
	}
	f.fail = nil
	size := f.Len()
	_, again := w.Begin(recs)
	for name, err := range map[string]error{"Begin": again, "Answer": w.Answer(number, outs), "Sync": w.Sync(), "Close": w.Close(Stopped)} {
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
	if want := (Totals{Unknown: 1, Unsent: 9}); a.Totals() != want || a.Clean || a.Cut == 0 {
		t.Errorf("totals %+v, clean %v, cut %d; want %+v, unclean and cut", a.Totals(), a.Clean, a.Cut, want)
	}
}

// A frame whose checksum holds and that kreplay would not write is another
// program's: it is refused, never guessed at.
func TestForeignFrames(t *testing.T) {
	// Two records from seq 0 are begun: 0<<2|1, and none more than two.
	two := "b\x00\x01\x00"
	for name, payloads := range map[string][]string{
		"no kind":             {""},
		"unknown kind":        {"?"},
		"begin of nothing":    {"b\x00"},
		"begin without count": {"b\x00\x01"},
		"begin above planned": {"b\x00\x01\x09"},
		"begin from planned":  {"b\x00\x28"},
		"begin before zero":   {"b\x00\x02"},
		"answer to nothing":   {"a\x00\x01\x02\x01"},
		"answer to the next":  {two, "a\x00\x00\x02\x01"},
		"answered twice":      {two, "a\x00\x01\x02\x01", "a\x00\x01\x02\x01"},
		"too few outcomes":    {two, "a\x00\x01\x01\x01"},
		"too many outcomes":   {two, "a\x00\x01\x03\x01"},
		"run of nothing":      {two, "a\x00\x01\x00\x01\x02\x01"},
		"answer unsent":       {two, "a\x00\x01\x02\x03"},
		"answer cut":          {two, "a\x00\x01\x02"},
		"ack with code":       {two, "a\x00\x01\x02\x05\x01x"},
		"code skipped":        {two, "a\x00\x01\x02\x0a\x01x"},
		"code empty":          {two, "a\x00\x01\x02\x06\x00"},
		"code cut":            {two, "a\x00\x01\x02\x06\x02x"},
		"code twice":          {two, "a\x00\x01\x01\x06\x01x\x01\x0a\x01x"},
		"end of another kind": {"e\x00\x02\x00\x00\x00\x00"},
		"end cut":             {"e\x00\x00\x00\x00\x00"},
		"end in flight":       {two, "e\x00\x00\x01\x00\x00\x00"},
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
		if _, err := readFrom(r, 200); !errors.Is(err, broken) {
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
		"fates":   func(a *Account) { a.totals.Acked, a.totals.Refused, a.totals.Unknown, a.totals.Unsent = 200, 0, 0, 0 },
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
	if w.put(make([]byte, maxFrame+1)) == nil || func() error { _, err := w.Begin(make([]record.Record, 1)); return err }() == nil {
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
