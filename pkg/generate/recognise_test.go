package generate

import (
	"bytes"
	"encoding/json"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

// recognisable draws a plan of any kind, the largest scenario's among them.
func recognisable(t *rapid.T) *Plan {
	run := Run{ID: rapid.StringMatching(`[a-z0-9-]{0,12}`).Draw(t, "run")}
	switch rapid.IntRange(0, 3).Draw(t, "plan") {
	case 0:
		return sized(t, "social-game", rapid.Uint64Range(1, 600).Draw(t, "users"), run)
	case 1:
		return newPlan(t, run, varied, "varied")
	default:
		return drawPlan(t)
	}
}

// recognise returns what Identify would.
func recognise(r *Recogniser, b []byte, s *Scratch) (m Match, n int) {
	user, event, n := r.Recognise(b, s)
	if n == 0 {
		return Match{}, 0
	}
	return Match{Kind: Planned, User: user, Event: event, Intact: true}, n
}

// What is recognised is what Identify says of the same bytes, as long as the record
// is, whatever follows and whatever was done to it; and records are recognised.
func TestRecogniseIsIdentify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := recognisable(t)
		c := p.Comparer(Options{})
		r, s := NewRecogniser(c), &Scratch{}
		for range rapid.IntRange(1, 20).Draw(t, "rows") {
			user, event := drawRecord(t, p)
			if last := s.last; last != nil && int(last.next) < last.cohort.Events && rapid.Bool().Draw(t, "next") {
				user, event = last.values.User, last.next // or nearly
			}
			text := row(p, user, event)
			tail := rapid.SampledFrom([]string{"", "\n", " ", "\r\n", `{`, `}`, `,`, `"`, `x`, string(row(p, user, event))}).Draw(t, "tail")
			b := append(bytes.Clone(text), tail...)
			if rapid.Bool().Draw(t, "spoiled") {
				b = spoil(t, b, len(text))
			}
			m, n := recognise(r, b, s)
			if n == 0 {
				if bytes.HasPrefix(b, text) && r.of[p.Cohort(user).number][event] != nil && len(r.of[p.Cohort(user).number][event].events[p.Cohort(user).number]) <= mostTried {
					t.Fatalf("%s is not recognised", b)
				}
				continue
			}
			if want := c.Identify(b[:n], AsSent, &Scratch{}); m != want || !m.Intact || m.Kind != Planned {
				t.Fatalf("%s is recognised as %+v, and is %+v", b[:n], m, want)
			}
			if !json.Valid(b[:n]) {
				t.Fatalf("%s is no JSON, and was recognised", b[:n])
			}
		}
	})
}

// spoil changes a byte of the first n, or leaves bytes out.
func spoil(t *rapid.T, b []byte, n int) []byte {
	at := rapid.IntRange(0, n-1).Draw(t, "at")
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		b[at] = rapid.SampledFrom([]byte(`0189afAFgzZ"{}[],: `)).Draw(t, "byte")
	case 1:
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	case 2:
		return b[:at]
	default:
		return append(b[:at], b[min(at+rapid.IntRange(1, 5).Draw(t, "lost"), len(b)):]...)
	}
	return b
}

// No byte of a record may be another one, wherever it stands: uuids and ULIDs are
// read, numbers and times too, and what is read may say less than what is written.
func TestEveryByteIsCompared(t *testing.T) {
	const others = "07afAFGZ-\"}"
	p := sized(t, "social-game", 1, Run{ID: "a"})
	r, s := NewRecogniser(p.Comparer(Options{})), &Scratch{}
	for event := range uint32(p.Cohort(0).Events) {
		text, before := row(p, 0, event), []byte(nil)
		if event > 0 {
			before = row(p, 0, event-1)
		}
		for i, was := range text {
			for _, other := range []byte(others) {
				if text[i] = other; other == was {
					continue
				}
				r.Recognise(before, s) // so that this one comes next
				if m, n := recognise(r, text, s); n > 0 && !p.Identify(text[:n], &Scratch{}).Intact {
					t.Fatalf("%s with byte %d changed is %+v", text, i, m)
				}
			}
			text[i] = was
		}
	}
}

// shared has uuids that name no record, and none of which belongs to all.
var shared = fstest.MapFS{
	"shared/scenario.yaml": {Data: []byte(`
kreplay: 1
name: shared
template: t
rewrite: { user_id: user, session_id: uuid per session, ts: time }
population: { users: 9 }
`)},
	"shared/t/play.ndjson": {Data: []byte(`{"session_id":"04b48064-7ee4-4a23-a74e-6cf210177212","user_id":15,"ts":1541207073}
{"session_id":"04b48064-7ee4-4a23-a74e-6cf210177212","user_id":15,"ts":1541207074}
{"session_id":"1012f037-b64c-4422-8c38-fb2918f135d2","user_id":15,"ts":1541207075}
{"session_id":"1012f037-b64c-4422-8c38-fb2918f135d2","user_id":15,"ts":1541207076}
`)},
}

// What is half of one record and half of another is none, unless it is a third one.
func TestRecordsPutTogetherAreNotRecognised(t *testing.T) {
	p := newPlan(t, Run{ID: "r"}, shared, "shared")
	r, s := NewRecogniser(p.Comparer(Options{})), &Scratch{}
	known := 0
	for a := range uint32(4) {
		for b := range uint32(4) {
			x, y := row(p, 3, a), row(p, 3, b)
			text := append(bytes.Clone(x[:60]), y[60:]...)
			m, n := recognise(r, text, s)
			if intact := p.Identify(text, &Scratch{}).Intact; n > 0 != intact {
				t.Errorf("%s is %+v, %d bytes; intact: %v", text, m, n, intact)
			}
			known += min(n, 1)
		}
	}
	if known != 8 {
		t.Errorf("%d are recognised, want those of one session", known)
	}
}

// Nearly all records of the shipped scenarios are recognised, in the order of
// sending and user by user, and none of another run.
func TestRecordsAreRecognised(t *testing.T) {
	for _, name := range []string{"smoke", "social-game"} {
		p, other := sized(t, name, 60, Run{ID: "a"}), sized(t, name, 60, Run{ID: "b"})
		r, s := NewRecogniser(p.Comparer(Options{})), &Scratch{}
		all, known := 0, 0
		for rec := range p.Records(Slice{}) {
			all++
			m, n := recognise(r, rec.Data, s)
			if n > 0 {
				known++
			}
			if n > 0 && (m.User != rec.ID.User || n != len(bytes.TrimSuffix(rec.Data, []byte("\n")))) {
				t.Fatalf("%s is %+v, %d bytes", rec.Data, m, n)
			}
		}
		if known*1000 < all*999 {
			t.Errorf("%s: %d of %d records are recognised", name, known, all)
		}
		for rec := range other.Records(Slice{}) {
			if m, n := recognise(r, rec.Data, s); n > 0 {
				t.Fatalf("%s of another run is %+v", rec.Data, m)
			}
		}
	}
}

// What is known of a user is forgotten for another one, of whatever cohort, and both
// are recognised.
func TestUsersTakeEachOthersPlace(t *testing.T) {
	p := sized(t, "social-game", 3*knownUsers, Run{ID: "a"})
	r, s := NewRecogniser(p.Comparer(Options{})), &Scratch{}
	for event := range uint32(20) {
		for user := uint32(7); uint64(user) < p.Users; user += knownUsers {
			if int(event) >= p.Cohort(user).Events {
				continue
			}
			if m, n := recognise(r, row(p, user, event), s); n == 0 || m.User != user {
				t.Fatalf("%s is %+v, %d bytes", row(p, user, event), m, n)
			}
		}
	}
}

// Where a row may be intact that is not what was sent, nothing is recognised.
func TestOnlyBytesAreRecognised(t *testing.T) {
	p := variedPlan(t)
	for _, mode := range modes {
		if got := NewRecogniser(p.Comparer(Options{Compare: mode})) != nil; got != (mode == scenario.CompareExact) {
			t.Errorf("compare: %s: recognised: %v", mode, got)
		}
	}
	if NewRecogniser(p.Comparer(Options{Compare: scenario.CompareExact, Ignore: []scenario.Pattern{{Field: "version"}}})) != nil {
		t.Error("recognised beside ignored fields")
	}
}

func TestRecognisingAllocatesNothing(t *testing.T) {
	p := sized(t, "social-game", 60, Run{ID: "x"})
	r, s := NewRecogniser(p.Comparer(Options{})), &Scratch{}
	var rows [][]byte
	for rec := range p.Records(Slice{}) {
		rows = append(rows, rec.Data)
	}
	if n := testing.AllocsPerRun(3, func() {
		for _, b := range rows {
			r.Recognise(b, s)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d rows, want none", n, len(rows))
	}
}

// Rows as they lie in a lake, in the order of sending: user by user, and users that
// play at a time.
func BenchmarkRecognise(b *testing.B) {
	for _, name := range []string{"smoke", "social-game"} {
		b.Run(name, func(b *testing.B) {
			p, s := sized(b, name, 200, Run{ID: "x"}), &Scratch{}
			r := NewRecogniser(p.Comparer(Options{}))
			var lake []byte
			rows := 0
			for rec := range p.Records(Slice{}) {
				lake = append(append(lake, bytes.TrimSuffix(rec.Data, []byte("\n"))...), '\n')
				rows++
			}
			b.SetBytes(int64(len(lake)))
			b.ReportAllocs()
			for b.Loop() {
				for at := 0; at < len(lake); at++ {
					_, _, n := r.Recognise(lake[at:], s)
					if n == 0 {
						b.Fatalf("%s is not recognised", lake[at:])
					}
					at += n
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}
