package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/format"
)

// bounded refuses a page of which few bytes decode to many: runs that go beyond
// its values, and prefixes that are repeated. The encodings are those of
// https://parquet.apache.org/docs/file-format/data-pages/encodings/.
//
// Runs of booleans it decodes itself, because the library (v0.32.0) takes
// the value of a run for eight of them and its length for one of whole bytes: it
// returns the page with plain ones, and says so in h.
func (l *leaf) bounded(h *format.PageHeader, plain []byte) ([]byte, error) {
	data, encoding, values, err := l.levels(h, plain)
	if err != nil || len(data) == 0 {
		return plain, err
	}
	switch *encoding {
	case plainDictionary, format.RLEDictionary:
		return plain, runs(data[1:], int(data[0]), values)
	case format.RLE:
		if len(data) < 4 || l.physical != format.Boolean {
			return plain, errors.New("runs of what is not boolean")
		}
		end := len(plain) - len(data) // of the levels
		data, err = lengthFirst(&data)
		if err == nil {
			err = runs(data, 1, values)
		}
		if err != nil {
			return plain, err
		}
		*encoding = format.Plain
		return appendBooleans(plain[:end:end], data), nil
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		return plain, packed(data, values)
	case format.DeltaByteArray:
		return plain, prefixes(data, values)
	default: // no longer decoded than encoded
		return plain, nil
	}
}

// appendBooleans appends runs as bits.
func appendBooleans(dst, data []byte) []byte {
	at := len(dst) * 8
	set := func(bit byte) {
		if at%8 == 0 {
			dst = append(dst, 0)
		}
		dst[at/8] |= bit << (at % 8)
		at++
	}
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		data = data[n:]
		if count := int(head >> 1); count == 0 {
			continue
		} else if head&1 == 0 {
			for range count {
				set(data[0] & 1)
			}
			data = data[1:]
		} else {
			for i := range count * 8 {
				set(data[i/8] >> (i % 8) & 1)
			}
			data = data[count:]
		}
	}
	return dst
}

// levels holds the levels of a page against its values, and returns what is behind them.
func (l *leaf) levels(h *format.PageHeader, plain []byte) (data []byte, encoding *format.Encoding, values int, err error) {
	encoding, values = &h.DataPageHeader.V.Encoding, int(h.DataPageHeader.V.NumValues)
	data = plain
	switch h.Type {
	case format.DataPage:
		for _, most := range []int{l.repeats, l.defines} {
			if data, err = levelsV1(data, most, values); err != nil {
				return nil, nil, 0, err
			}
		}
	case format.DataPageV2:
		v := &h.DataPageHeaderV2.V
		encoding, values = &v.Encoding, int(v.NumValues)
		r, d := int(v.RepetitionLevelsByteLength), int(v.DefinitionLevelsByteLength)
		if err := errors.Join(runs(data[:r], bits.Len(uint(l.repeats)), values), runs(data[r:r+d], bits.Len(uint(l.defines)), values)); err != nil {
			return nil, nil, 0, err
		}
		data = data[r+d:]
	default:
		return nil, nil, 0, nil
	}
	return data, encoding, values, nil
}

func levelsV1(data []byte, most, values int) ([]byte, error) {
	if most == 0 {
		return data, nil
	}
	first, err := lengthFirst(&data)
	if err == nil {
		err = runs(first, bits.Len(uint(most)), values)
	}
	return data, err
}

// lengthFirst cuts off the bytes whose length stands before them.
func lengthFirst(data *[]byte) ([]byte, error) {
	if len(*data) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	n, rest := uint64(binary.LittleEndian.Uint32(*data)), (*data)[4:]
	if n > uint64(len(rest)) {
		return nil, io.ErrUnexpectedEOF
	}
	*data = rest[n:]
	return rest[:n], nil
}

// runs counts values of the hybrid of runs and packed bits.
func runs(data []byte, width, values int) error {
	if width > 32 {
		return fmt.Errorf("values of %d bits", width)
	}
	for total := uint64(0); len(data) > 0; {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return io.ErrUnexpectedEOF
		}
		data = data[n:]
		count, size := min(head>>1, MaxValues+1), uint64(width+7)/8
		if count == 0 {
			continue // some writers leave empty runs, without a value
		}
		if head&1 != 0 {
			size = count * uint64(width)
			count *= 8
		}
		// The last run may be filled up to eights of values.
		if total += count; count > MaxValues || total > uint64(values)+512 {
			return fmt.Errorf("runs of more than its %d values", values)
		}
		if size > uint64(len(data)) {
			return io.ErrUnexpectedEOF
		}
		data = data[size:]
	}
	return nil
}

// maxBlock bounds a block of delta encoding; writers have 128.
const maxBlock = 1 << 16

// packed looks at the header of packed differences.
func packed(data []byte, values int) error {
	block, n := binary.Uvarint(data)
	if n <= 0 || block > maxBlock {
		return fmt.Errorf("delta encoding in blocks of %d", block)
	}
	data = data[n:]
	minis, n := binary.Uvarint(data)
	if n <= 0 || minis == 0 || minis > block {
		return errors.New("delta encoding without blocks")
	}
	if total, n := binary.Uvarint(data[n:]); n <= 0 || total > uint64(values) {
		return fmt.Errorf("delta encoding of %d values, where its header says %d", total, values)
	}
	return nil
}

// prefixes adds up what values take over from those before them.
func prefixes(data []byte, values int) error {
	if err := packed(data, values); err != nil {
		return err
	}
	var e delta.BinaryPackedEncoding
	lengths, err := e.DecodeInt32(nil, data)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range lengths {
		if total += int64(n); n < 0 || total > MaxPage {
			return fmt.Errorf("values of more than %d bytes together", MaxPage)
		}
	}
	return nil
}
