package template

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

// A Program is a compiled template: literal bytes and slots. It is immutable
// and safe for concurrent use.
type Program struct {
	Events    []Event // by event time; ties by log type, then line
	LogTypes  []string
	SlotEvent []int32 // of each uuid slot: the event that alone holds it, or -1
	Class     []int32 // of each event: the first event with the same captured bytes
	Counters  int     // counter values a user needs
	Fakes     Fakes   // invented values likewise
	UserKeys  map[string]bool
	PeerKeys  map[string]bool // names of fields that hold other users' ids and never the user's
	TimeKeys  map[string][]Form
	UserForms []UserForm // of the user's id and of peers'
	Numbers   []string   // what scale multiplies by: [Values.Numbers] has a value for each
	Newline   bool
	Digest    [sha256.Size]byte
}

// An Event is one captured record.
type Event struct {
	LogType int
	Line    []byte
	Pos     scenario.Pos
	Time    int64 // captured event time, ns since 1970
	HasTime bool
	parts   []part
	tail    []byte // literal behind the last slot
	members []member
}

// A member is a captured scalar, null aside: a record's partition key may be one.
type member struct {
	key, text []byte
	path      string
	role      scenario.RoleKind
	part      int // the slot that it is, or -1
}

// A UserForm is one way in which the template writes the user's id: what stands
// before and behind the digits, quotes included. Width is the least number of
// digits; Padded: leading zeros were captured or asked for, so it is exact.
type UserForm struct {
	Prefix, Suffix string
	Width          int
	Padded         bool
	Captured       uint64 // 0 with a pattern
}

type slotKind uint8

const (
	slotUser slotKind = iota
	slotUUID
	slotTime
	slotCounter
	slotDate
	slotPeer
	slotScale
	slotHash
	slotFake
)

// A part is the literal before a slot, and the slot. What most slots need comes
// first: a row touches the parts of another event than the one before it.
type part struct {
	literal  []byte
	kind     slotKind
	uuid     record.UUIDForm
	inUUID   bool     // peer: written as uuid says
	self     bool     // peer: the captured one is the user
	index    uint32   // of the uuid slot, the counter, the peer, the number of scale
	whole    int64    // time: as captured, where that is a number; of a stamp seconds on the clock
	fraction []byte   // what stands behind it
	user     UserForm // of a number that is a user's id, a peer's, or a counter
	stamp    []byte   // time: year to seconds as captured, in one of stamps; empty: another form
	form     Form
	ns       int64
	number   decimal    // scale
	shape    *shape     // hash
	fake     *invention // fake
}

// Values is what is particular to one user.
type Values struct {
	Tag         record.Tag
	User        uint32
	UserID      uint64 // reserved decimal id
	Shift       int64  // seconds from captured to planned time
	CounterBase uint64 // the user's first counter value, less one
	Fakes       Fakes  // values that any user has invented
	Users       uint64 // of the run; their decimal ids begin at UserID - User
	Seed        uint64
	Numbers     []scenario.Decimal // by the index of the name in Program.Numbers
}

// Append renders an event for a user. Everything outside the slots is as captured.
func (p *Program) Append(dst []byte, event int, v *Values) []byte {
	e := &p.Events[event]
	for i := range e.parts {
		dst = append(dst, e.parts[i].literal...)
		dst = e.parts[i].append(dst, v)
	}
	return append(dst, e.tail...)
}

func (s *part) append(dst []byte, v *Values) []byte {
	switch s.kind {
	case slotUser:
		return s.user.append(dst, v.UserID)
	case slotCounter:
		return s.user.append(dst, v.CounterBase+uint64(s.index)+1)
	case slotUUID:
		return record.AppendUUID(dst, record.EncodeUUID(v.Tag, v.User, s.index), s.uuid)
	case slotDate:
		return unixNano(s.ns, v.Shift).In(s.form.zone).AppendFormat(dst, s.form.layout)
	case slotPeer:
		return s.appendPeer(dst, v)
	case slotScale:
		return s.number.append(dst, v.Numbers[s.index])
	case slotHash:
		return s.shape.append(dst, v)
	case slotFake:
		return s.fake.append(dst, v)
	default:
		return s.appendTime(dst, v.Shift)
	}
}

func (s *part) appendTime(dst []byte, shift int64) []byte {
	if s.form.unit != 0 {
		dst = strconv.AppendInt(dst, s.whole+shift*(1e9/s.form.unit), 10)
		return append(dst, s.fraction...)
	}
	if len(s.stamp) > 0 {
		if text, ok := s.stamped(s.whole + shift); ok {
			return append(append(dst, text[:]...), s.fraction...)
		}
	}
	return unixNano(s.ns, shift).In(s.form.zone).AppendFormat(dst, s.form.layout)
}

func (f *UserForm) append(dst []byte, n uint64) []byte {
	return append(appendDigits(append(dst, f.Prefix...), n, f.Width), f.Suffix...)
}

// MaxSize bounds the bytes of an event, whoever the user is.
func (p *Program) MaxSize(event int) int {
	const longest = 64 // of what a slot writes, text of a pattern aside
	e := &p.Events[event]
	n := len(e.Line) + longest*len(e.parts)
	for i := range e.parts {
		n += len(e.parts[i].user.Prefix) + len(e.parts[i].user.Suffix) + e.parts[i].user.Width
	}
	return n
}

// Key appends the text of a field of an event, its partition key. Where the
// event has no such field, an empty one, or none is named, it is the user's id.
func (p *Program) Key(dst []byte, event int, field string, v *Values) []byte {
	e, start := &p.Events[event], len(dst)
	for i := range e.members {
		if m := &e.members[i]; field != "" && string(m.key) == field {
			if m.part < 0 {
				dst = append(dst, m.text...)
			} else {
				dst = e.parts[m.part].append(dst, v)
			}
			if dst = trimQuotes(dst, start); len(dst) > start { // Kinesis refuses an empty key
				return dst
			}
			break
		}
	}
	for i := range e.parts {
		if s := &e.parts[i]; s.kind == slotUser {
			return trimQuotes(s.append(dst, v), start)
		}
	}
	return strconv.AppendUint(dst, v.UserID, 10)
}

// KeyForm is the form in which an event's key, by a field, writes the user's id:
// keys of one form are alike for a user. false: the key is something else.
func (p *Program) KeyForm(event int, field string) (form UserForm, ok bool) {
	e := &p.Events[event]
	for i := range e.members {
		m := &e.members[i]
		if field == "" || string(m.key) != field {
			continue
		}
		if m.part >= 0 {
			s := &e.parts[m.part]
			return s.user, s.kind == slotUser
		}
		if len(bytes.Trim(m.text, `"`)) > 0 {
			return form, false
		}
		break
	}
	for i := range e.parts {
		if s := &e.parts[i]; s.kind == slotUser {
			return s.user, true
		}
	}
	return form, true // bare digits
}

// trimQuotes takes the quotes off the text from start on.
func trimQuotes(b []byte, start int) []byte {
	return append(b[:start], bytes.Trim(b[start:], `"`)...)
}

// ParseTime reads a time field of a row: ns since 1970.
func (p *Program) ParseTime(key, value []byte) (ns int64, ok bool) {
	for _, f := range p.TimeKeys[string(key)] {
		if ns, ok = f.Parse(value); ok {
			return ns, true
		}
	}
	return 0, false
}

// patternForm splits U%010d into what stands around the digits.
func patternForm(pattern string, quoted bool) (UserForm, error) {
	before, rest, ok := strings.Cut(pattern, "%")
	digits, after, ok2 := strings.Cut(rest, "d")
	if !ok || !ok2 {
		return UserForm{}, fmt.Errorf("pattern %q: want one %%d or %%0Nd", pattern)
	}
	width, err := 0, error(nil)
	if digits != "" {
		if width, err = strconv.Atoi(strings.TrimPrefix(digits, "0")); err != nil {
			return UserForm{}, fmt.Errorf("pattern %q: want one %%d or %%0Nd", pattern)
		}
	}
	f := UserForm{Prefix: before, Suffix: after, Width: width, Padded: width > 0}
	if quoted {
		f.Prefix, f.Suffix = `"`+f.Prefix, f.Suffix+`"`
	}
	return f, nil
}
