package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// readFooter reads what a file says of itself. The layout is that of
// https://parquet.apache.org/docs/file-format/.
func readFooter(from *source) (*format.FileMetaData, error) {
	if from.size < 12 {
		return nil, errors.New("cut short: no footer, so its rows are not known")
	}
	var tail [8]byte
	if _, err := from.ReadAt(tail[:], from.size-8); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	switch end := string(tail[4:]); {
	case end == EncryptedMagic:
		return nil, errors.New("encrypted, which kreplay does not read")
	case end != Magic:
		return nil, errors.New("cut short: no footer at its end, so its rows are not known")
	case length > from.size-12:
		return nil, fmt.Errorf("footer of %d bytes in a file of %d", length, from.size)
	case length > MaxFooter:
		return nil, fmt.Errorf("footer of %d bytes; the longest read is %d", length, MaxFooter)
	}
	data := make([]byte, length)
	if _, err := from.ReadAt(data, from.size-8-length); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	if err := measure(data); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	meta := new(format.FileMetaData)
	if err := decode(data, meta, nil); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	return meta, nil
}

// decode reads one structure from the beginning of data, and says how long it is.
func decode(data []byte, into any, length *int) (err error) {
	defer contain(&err)
	var protocol thrift.CompactProtocol
	r := protocol.NewReaderFromBytes(data)
	if err := thrift.NewDecoder(r).Decode(into); err != nil {
		return err
	}
	if length != nil {
		*length = r.BytesRead()
	}
	return nil
}

// contain turns a panic of the library into an error.
func contain(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("not decodable: %v", p)
	}
}

// measure walks a structure of Thrift's compact protocol and refuses what would
// take much more memory decoded than it has bytes: lists are allocated by the
// length that they claim. The protocol is that of
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
func measure(data []byte) error {
	m := &measurer{data: data}
	m.structure(0)
	if m.parts > MaxParts {
		return fmt.Errorf("more than %d structures", MaxParts)
	}
	if m.bad {
		return errors.New("broken off, or no footer")
	}
	return nil
}

// Types of the compact protocol.
const (
	thriftByte   = 3
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

type measurer struct {
	data  []byte
	at    int
	parts int
	bad   bool
}

// over says that there is no use in going on.
func (m *measurer) over() bool { return m.bad || m.parts > MaxParts }

func (m *measurer) skip(n uint64) {
	if n > uint64(len(m.data)-m.at) {
		m.bad = true
		return
	}
	m.at += int(n)
}

func (m *measurer) byte() byte {
	if m.at >= len(m.data) {
		m.bad = true
		return 0
	}
	m.at++
	return m.data[m.at-1]
}

func (m *measurer) number() uint64 {
	v, n := binary.Uvarint(m.data[m.at:])
	if n <= 0 {
		m.bad = true
		return 0
	}
	m.at += n
	return v
}

func (m *measurer) structure(depth int) {
	m.parts++
	if depth > 16 { // the format has seven
		m.bad = true
	}
	for !m.over() {
		head := m.byte()
		if head == 0 {
			return
		}
		if head>>4 == 0 {
			m.number() // the field's id
		}
		if kind := head & 15; kind > 2 { // of a boolean, the kind is the value
			m.value(kind, depth)
		}
	}
}

func (m *measurer) value(kind byte, depth int) {
	switch kind {
	case 1, 2, thriftByte:
		m.skip(1)
	case 4, 5, 6:
		m.number()
	case thriftDouble:
		m.skip(8)
	case thriftBinary:
		m.skip(m.number())
	case thriftList, thriftSet:
		head := m.byte()
		n := uint64(head >> 4)
		if n == 15 {
			n = m.number()
		}
		m.items(n, depth, head&15)
	case thriftMap:
		if n := m.number(); n > 0 {
			kinds := m.byte()
			m.items(n, depth, kinds>>4, kinds&15)
		}
	case thriftStruct:
		m.structure(depth + 1)
	case thriftUUID:
		m.skip(16)
	default:
		m.bad = true
	}
}

// items measures n times values of kinds; each takes a byte at least.
func (m *measurer) items(n uint64, depth int, kinds ...byte) {
	if n > uint64(len(m.data)-m.at) || depth > 16 {
		m.bad = true
	}
	for ; n > 0 && !m.over(); n-- {
		for _, kind := range kinds {
			m.value(kind, depth+1)
		}
	}
}
