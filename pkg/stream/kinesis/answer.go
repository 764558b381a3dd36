package kinesis

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"kreplay/pkg/record"
)

// entry is what an answer says of one record, and of those behind it that only
// have another sequence number. A member that is absent or null is empty. The
// slices may point into the answer.
type entry struct {
	sequence, shard, code, message []byte
	more                           int // records behind it
}

// member is where the value of a member of an entry goes; nil: it is not looked at.
func (e *entry) member(name []byte) *[]byte {
	switch string(name) {
	case "SequenceNumber":
		return &e.sequence
	case "ShardId":
		return &e.shard
	case "ErrorCode":
		return &e.code
	case "ErrorMessage":
		return &e.message
	}
	return nil
}

// answerReader turns answers into outcomes, one at a time. It is kept for the
// next call with its memory and with the names it has seen.
type answerReader struct {
	text    []byte
	entries []entry
	names   map[string]string // of shards and codes
	last    string            // the one that was asked for last
	errs    map[string]error  // by message
}

var readers = sync.Pool{New: func() any { return &answerReader{names: map[string]string{}, errs: map[string]error{}} }}

// outcomes judges r.text, the answer to recs.
func (r *answerReader) outcomes(recs []record.Record, wire Wire) ([]record.Outcome, error) {
	var plain bool
	if wire == CBOR {
		if r.entries, plain = scanCBOR(r.text, r.entries[:0], len(recs)); !plain {
			return nil, fmt.Errorf("no CBOR with the outcomes of %d records in its %d bytes (if every answer is like that, pass --wire json): %w", len(recs), len(r.text), errBroken)
		}
	} else if r.entries, plain = scan(r.text, r.entries[:0]); !plain {
		var err error
		if r.entries, err = decode(r.text, r.entries[:0]); err != nil {
			return nil, fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	if n := count(r.entries); n != len(recs) {
		return nil, fmt.Errorf("%d outcomes for %d records: %w", n, len(recs), errBroken)
	}
	out := newOutcomes(len(recs))
	for i := range r.entries {
		var o record.Outcome
		r.judge(&o, &r.entries[i])
		for range r.entries[i].more + 1 {
			out = append(out, o) // before it has an id: to copy what has just been written in parts is slow
			out[len(out)-1].ID = recs[len(out)-1].ID
		}
	}
	return out, nil
}

// spares are outcomes that were given back.
var spares sync.Pool

// newOutcomes returns none, with room for n.
func newOutcomes(n int) []record.Outcome {
	if spare, ok := spares.Get().(*[]record.Outcome); ok && cap(*spare) >= n {
		return (*spare)[:0]
	}
	return make([]record.Outcome, 0, n)
}

// Recycle implements [stream.Recycler].
func (c *Client) Recycle(outs []record.Outcome) { recycle(outs) }

func recycle(outs []record.Outcome) {
	if cap(outs) > 0 {
		spares.Put(&outs)
	}
}

// count is how many records entries are about.
func count(entries []entry) int {
	n := len(entries)
	for i := range entries {
		n += entries[i].more
	}
	return n
}

// judge says what an entry means. One that is neither stored nor throttled may
// have been stored.
func (r *answerReader) judge(o *record.Outcome, e *entry) {
	switch {
	case len(e.code) > 0:
		o.Code, o.Err = r.name(e.code), r.err(e)
		if throttles[o.Code] {
			o.Fate = record.Refused
		}
	case len(e.sequence) > 0 && len(e.shard) > 0:
		o.Fate, o.Shard = record.Acked, r.name(e.shard)
	default:
		o.Code, o.Err = "broken-answer", errBroken
	}
}

// What is kept of the texts seen: maxNames is the quota of shards where it is
// largest (Kinesis Data Streams developer guide, service-sizes-and-limits), and
// maxText more than a name or a message of the service has.
const (
	maxNames = 20_000
	maxText  = 512
)

// name is text as a string, the same one for the same text.
func (r *answerReader) name(text []byte) string {
	if string(text) == r.last {
		return r.last
	}
	name, known := r.names[string(text)]
	if !known {
		name = string(bytes.ToValidUTF8(text, []byte("\ufffd")))
		keep(r.names, name, name)
	}
	if len(name) <= maxText {
		r.last = name
	}
	return name
}

// err is the text behind a failed entry: a throttled shard says the same each time.
func (r *answerReader) err(e *entry) error {
	text := e.message
	if len(text) == 0 {
		text = e.code
	}
	if err, known := r.errs[string(text)]; known {
		return err
	}
	err := errors.New(string(bytes.ToValidUTF8(text, []byte("\ufffd"))))
	keep(r.errs, string(text), err)
	return err
}

func keep[T any](m map[string]T, text string, value T) {
	if len(text) > maxText {
		return
	}
	if len(m) >= maxNames {
		clear(m)
	}
	m[text] = value
}

// scan reads an answer as Kinesis writes it: no white space, no escape, no
// character beyond ASCII, no member of an unexpected kind. false: it is not
// that, and may be any other JSON or none.
func scan(answer []byte, into []entry) (entries []entry, plain bool) {
	s := scanner(answer)
	if !s.take('{') {
		return into, false
	}
	for found := false; ; {
		name, ok := s.name()
		switch {
		case !ok:
			return into, false
		case string(name) != "Records":
			ok = s.scalar()
		case found:
			return into, false // twice
		default:
			found = true
			into, ok = s.entries(into)
		}
		if !ok {
			return into, false
		}
		if !s.take(',') {
			return into, s.take('}') && len(s) == 0 && found
		}
	}
}

// printable says that b has no control character, no backslash and nothing
// beyond ASCII: up to the next quote it is a string, and what it says.
func printable(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		slash := w ^ ones*'\\'
		if (w|(w-ones*' ')&^w|(slash-ones)&^slash)&highs != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// scanner is what is left of an answer.
type scanner []byte

// take steps over c, if it is next.
func (s *scanner) take(c byte) bool {
	if len(*s) == 0 || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}

func (s *scanner) text() (text []byte, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	n := bytes.IndexByte(*s, '"')
	if n < 0 || !printable((*s)[:n]) {
		return nil, false
	}
	text, *s = (*s)[:n], (*s)[n+1:]
	return text, true
}

// name reads a member's name and the colon after it.
func (s *scanner) name() (name []byte, ok bool) {
	name, ok = s.text()
	return name, ok && s.take(':')
}

func (s *scanner) word(w string) bool {
	if len(*s) < len(w) || string((*s)[:len(w)]) != w {
		return false
	}
	*s = (*s)[len(w):]
	return true
}

// scalar steps over a string, a null, a boolean or a whole number.
func (s *scanner) scalar() bool {
	if _, ok := s.text(); ok {
		return true
	}
	if s.word("null") || s.word("true") || s.word("false") || s.word("0") {
		return true
	}
	digits := 0
	for digits < len(*s) && (*s)[digits] >= '0' && (*s)[digits] <= '9' {
		digits++
	}
	*s = (*s)[digits:]
	return digits > 0
}

// entries reads the value of Records.
func (s *scanner) entries(into []entry) ([]entry, bool) {
	if !s.take('[') {
		return into, false
	}
	if s.take(']') {
		return into, true
	}
	for {
		into = append(into, entry{})
		if e := &into[len(into)-1]; !s.stored(e) && !s.entry(e) {
			return into, false
		}
		if !s.take(',') {
			return into, s.take(']')
		}
	}
}

// stored reads an entry of a record that was stored, as it is written nearly
// always, and those behind it that are alike; otherwise it reads nothing.
func (s *scanner) stored(e *entry) bool {
	rest := *s
	if !rest.word(`{"SequenceNumber":`) {
		return false
	}
	sequence, ok := rest.text()
	if !ok {
		return false
	}
	tail := rest
	if !rest.word(`,"ShardId":`) {
		return false
	}
	shard, ok := rest.text()
	if !ok || !rest.take('}') {
		return false
	}
	e.sequence, e.shard, *s = sequence, shard, rest
	e.more = s.alike(len(sequence), tail[:len(tail)-len(rest)])
	return true
}

// alike steps over entries of records that were stored, with sequence numbers of
// n digits and the same text behind them, and counts them.
func (s *scanner) alike(n int, tail []byte) (entries int) {
	const head = `,{"SequenceNumber":"`
	if n < 8 {
		return 0
	}
	for ; ; entries++ {
		b := *s
		if len(b) <= len(head)+n+len(tail) || string(b[:len(head)]) != head || !digits(b[len(head):len(head)+n]) {
			return entries
		}
		if b = b[len(head)+n:]; b[0] != '"' || string(b[1:1+len(tail)]) != string(tail) {
			return entries
		}
		*s = b[1+len(tail):]
	}
}

// digits says that b, of 8 bytes or more, has nothing else.
func digits(b []byte) bool {
	other := noDigits(binary.LittleEndian.Uint64(b[len(b)-8:]))
	for ; len(b) >= 8; b = b[8:] {
		other |= noDigits(binary.LittleEndian.Uint64(b))
	}
	return other == 0
}

// noDigits is 0 if the 8 bytes of w are digits.
func noDigits(w uint64) uint64 {
	const zeros, sixes, highs = 0x3030303030303030, 0x0606060606060606, 0xf0f0f0f0f0f0f0f0
	return ((w ^ zeros) | ((w + sixes) ^ zeros)) & highs
}

func (s *scanner) entry(e *entry) bool {
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		name, ok := s.name()
		if !ok {
			return false
		}
		var text []byte
		if !s.word("null") {
			if text, ok = s.text(); !ok {
				return false
			}
		}
		if at := e.member(name); at != nil {
			*at = text
		}
		if !s.take(',') {
			return s.take('}')
		}
	}
}

// decode reads any answer. Names are exact, and of two members of one name the
// last one counts.
func decode(answer []byte, into []entry) ([]entry, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(answer, &top); err != nil {
		return into, err
	}
	var all []map[string]json.RawMessage
	if text, found := top["Records"]; !found {
		return into, errors.New("no Records")
	} else if err := json.Unmarshal(text, &all); err != nil {
		return into, err
	}
	for _, members := range all {
		var e entry
		for name, value := range members {
			at := e.member([]byte(name))
			if at == nil {
				continue
			}
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return into, err
			}
			*at = []byte(text)
		}
		into = append(into, e)
	}
	return into, nil
}
