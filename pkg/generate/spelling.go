package generate

import (
	"bytes"

	"kreplay/pkg/template"
)

// spelling writes names and values that tell records apart the way they are captured
// in, where a transform has written them otherwise. It uses its memory again.
type spelling struct {
	tree   tree
	quoted []byte
	key    []byte
	digits []byte
}

// decoded is what a JSON string with escapes says, without quotes; not ok: it is none.
func (p *spelling) decoded(quoted []byte) (text []byte, ok bool) {
	p.tree.data, p.tree.at, p.tree.decoded = quoted, 0, p.tree.decoded[:0]
	return p.tree.text()
}

// name decodes the name of a member, which has no quotes around it.
func (p *spelling) name(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	p.quoted = append(append(append(p.quoted[:0], '"'), raw...), '"')
	text, ok := p.decoded(p.quoted)
	if !ok {
		return raw
	}
	p.key = append(p.key[:0], text...)
	return p.key
}

// text decodes a string and leaves its quotes.
func (p *spelling) text(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	text, ok := p.decoded(raw)
	if !ok {
		return raw
	}
	p.quoted = append(append(append(p.quoted[:0], '"'), text...), '"')
	return p.quoted
}

// number writes a number without exponent and superfluous zeros, and takes a
// cell's quotes off it.
func (p *spelling) number(value []byte) []byte {
	value = bytes.Trim(value, `"`)
	if !isNumber(value) {
		return value
	}
	const most = 30 // digits: more has no id and no time
	d, ok := decimalOf(value)
	if !ok || len(d.digits) == 0 || d.exponent > most || d.exponent < -most {
		return value
	}
	b := p.digits[:0]
	if d.negative {
		b = append(b, '-')
	}
	start := len(b)
	for _, c := range d.digits {
		if c != '.' {
			b = append(b, c)
		}
	}
	for ; d.exponent > 0; d.exponent-- {
		b = append(b, '0')
	}
	if whole := len(b) + int(d.exponent); d.exponent < 0 {
		if whole <= start { // below 1
			return value
		}
		b = append(b, 0)
		copy(b[whole+1:], b[whole:])
		b[whole] = '.'
	}
	p.digits = b
	return b
}

// timeOf reads a time in any form, however it is written.
func (p *spelling) timeOf(value []byte) (ns int64, ok bool) {
	value = p.text(value)
	if _, ns, ok = template.FormOf(value); !ok {
		_, ns, ok = template.FormOf(p.number(value))
	}
	return ns, ok
}
