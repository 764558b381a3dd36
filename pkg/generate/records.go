package generate

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"sort"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// Values returns what is particular to one user when records are rendered.
func (p *Plan) Values(user uint32) template.Values {
	c := p.Cohort(user)
	return template.Values{
		Tag: p.Tag, User: user, UserID: p.ids.of(user),
		Shift: c.shift + int64(p.arrival(user)/time.Second), CounterBase: uint64(user) * p.counters,
		Fakes: p.fakes, Users: p.Users, Seed: p.seed, Numbers: c.numbers,
	}
}

// Records yields the records of a slice in the order of sending; see Order. Seq
// counts from 0 within the slice. The same plan yields the same records for ever.
func (p *Plan) Records(s Slice) iter.Seq[record.Record] {
	return func(yield func(record.Record) bool) {
		for recs := range p.Batches(s, 1) {
			if !yield(recs[0]) {
				return
			}
		}
	}
}

// Batches is Records, n at a time, the last ones fewer. They are overwritten by
// the next n: each is made where it is to lie, because to copy what has just been
// written in parts is slow.
func (p *Plan) Batches(s Slice, n int) iter.Seq[[]record.Record] {
	return func(yield func([]record.Record) bool) {
		var m maker
		defer m.end()
		var seq uint64
		recs := make([]record.Record, 0, n)
		p.walk(s, func(step Step, u *player) bool {
			recs = recs[:len(recs)+1]
			r := &recs[len(recs)-1]
			r.ID = record.ID{Run: p.Tag, User: step.User, Event: step.Event, Copy: step.Copy}
			r.Seq, r.PartitionKey, r.Due = seq, p.keyOf(u, step.Event), step.Due
			r.Data, r.Chunk = m.keep(p.append(m.rest, u.cohort, step.Event, &u.values))
			seq++
			if len(recs) < n {
				return true
			}
			full := recs
			recs = recs[:0]
			return yield(full)
		})
		if len(recs) > 0 {
			yield(recs)
		}
	}
}

// A maker places data in one chunk after another.
type maker struct {
	chunk *record.Chunk
	rest  []byte // of the chunk: of length 0, to append to
	n     int    // records in it
}

// keep gives data its place: where it stands, if it was appended to rest and did fit.
func (m *maker) keep(data []byte) ([]byte, *record.Chunk) {
	if len(data) > cap(m.rest) {
		if len(data) > record.ChunkSize {
			return data, nil
		}
		m.end()
		m.chunk = record.NewChunk()
		data = append(m.chunk.Bytes, data...)
	}
	m.n++
	m.rest = data[len(data):]
	return data[:len(data):len(data)], m.chunk
}

func (m *maker) end() {
	if m.chunk != nil {
		m.chunk.Made(m.n)
	}
	*m = maker{}
}

// keyOf is a record's partition key: most often the one text that says the user's id.
func (p *Plan) keyOf(u *player, event uint32) string {
	key := &u.key
	if u.cohort.ownKey[event] {
		key = &u.ownKey
		if *key != "" {
			return *key
		}
	}
	var room [64]byte
	if text := u.cohort.rendered.Key(room[:0], int(event), p.key, &u.values); string(text) != *key {
		*key = string(text)
	}
	return *key
}

// Find returns one planned record of a slice as it is sent, with its place in
// the order of sending; false: the slice has no such record. It walks the order
// up to there; more, if set, is asked now and then whether to go on after so many steps.
func (p *Plan) Find(s Slice, id record.ID, more func(steps uint64) bool) (r record.Record, ok bool) {
	if first, end := p.Range(s); id.Run != p.Tag || uint64(id.User) < first || uint64(id.User) >= end {
		return record.Record{}, false
	}
	var seq uint64
	p.walk(s, func(step Step, u *player) bool {
		if step.User == id.User && step.Event == id.Event && step.Copy == id.Copy {
			r, ok = p.Record(id), true
			r.Seq, r.Due = seq, step.Due
		}
		seq++
		return !ok && (more == nil || seq%(1<<16) != 0 || more(seq))
	})
	return r, ok
}

// Record is a planned record as it is sent, without its place in the order of sending.
func (p *Plan) Record(id record.ID) record.Record {
	c, v := p.Cohort(id.User), p.Values(id.User)
	return record.Record{
		ID: id, Data: p.append(nil, c, id.Event, &v), PartitionKey: string(c.Program.Key(nil, int(id.Event), p.key, &v)),
	}
}

// Append renders one record as it is sent.
func (p *Plan) Append(dst []byte, user, event uint32) []byte {
	v := p.Values(user)
	return p.append(dst, p.Cohort(user), event, &v)
}

func (p *Plan) append(dst []byte, c *Cohort, event uint32, v *template.Values) []byte {
	dst = c.rendered.Append(dst, int(event), v)
	if p.newline {
		dst = append(dst, '\n')
	}
	return dst
}

// endsInNewline says whether records end in one: as the scenario has it, else as
// the first cohort's template was captured.
func endsInNewline(sc *scenario.Scenario, cohorts []*Cohort) bool {
	switch sc.Stream.Newline {
	case scenario.NewlineAdd:
		return true
	case scenario.NewlineRemove:
		return false
	case scenario.NewlineAuto:
	}
	return len(cohorts) > 0 && cohorts[0].Program.Newline
}

// contentDigest is over all that decides the records: the scenario's content and the
// templates' bytes.
func contentDigest(sc *scenario.Scenario, programs map[string]*template.Program) [sha256.Size]byte {
	h := sha256.New()
	part := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	part(sc.Content())
	names := make([]string, 0, len(programs))
	for name := range programs {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		d := programs[name].Digest
		part([]byte(name))
		part(d[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
