package parquet

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// maxScale bounds the digits behind a DECIMAL's point; the format knows none, engines read up to 76.
const maxScale = 100

// openLibrary opens a file that is a footer only.
func openLibrary(footer []byte) (*lib.File, error) {
	file := append([]byte(Magic), footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer)))
	file = append(file, Magic...)
	return lib.OpenFile(bytes.NewReader(file), int64(len(file)), lib.SkipPageIndex(true), lib.SkipBloomFilters(true), lib.ReadBufferSize(1<<10))
}

type appendFunc = func(dst []byte, v *lib.Value) []byte

// writer says how the values of a column are written.
func writer(e *format.SchemaElement) (appendFunc, error) {
	if w, err := logical(e); w != nil || err != nil {
		return w, err
	}
	switch e.Type.V {
	case format.Boolean:
		return func(dst []byte, v *lib.Value) []byte { return strconv.AppendBool(dst, v.Boolean()) }, nil
	case format.Int32:
		return func(dst []byte, v *lib.Value) []byte { return strconv.AppendInt(dst, int64(v.Int32()), 10) }, nil
	case format.Int64:
		return func(dst []byte, v *lib.Value) []byte { return strconv.AppendInt(dst, v.Int64(), 10) }, nil
	case format.Int96:
		return writeInt96, nil
	case format.Float:
		return func(dst []byte, v *lib.Value) []byte { return appendFloat(dst, float64(v.Float()), 32) }, nil
	case format.Double:
		return func(dst []byte, v *lib.Value) []byte { return appendFloat(dst, v.Double(), 64) }, nil
	case format.ByteArray, format.FixedLenByteArray:
		if e.ConvertedType.Valid && e.ConvertedType.V == deprecated.Interval {
			return writeBase64, nil
		}
		return writeText, nil
	}
	return nil, fmt.Errorf("type %v is not known", e.Type.V)
}

// units are those of timestamps, as digits behind a second's point.
func digitsOf(u format.TimeUnit) int {
	switch u.Value.(type) {
	case *format.MicroSeconds:
		return 6
	case *format.NanoSeconds:
		return 9
	}
	return 3
}

// logical says how the values of a column with a logical type are written; nil: as those without.
func logical(e *format.SchemaElement) (appendFunc, error) {
	kind := e.Type.V
	whole := kind == format.Int32 || kind == format.Int64
	data := kind == format.ByteArray || kind == format.FixedLenByteArray
	switch t := upgraded(e).(type) {
	case *format.DecimalType:
		if t.Scale < 0 || t.Scale > maxScale {
			return nil, fmt.Errorf("DECIMAL with %d digits behind its point", t.Scale)
		}
		if whole || data {
			return func(dst []byte, v *lib.Value) []byte { return appendDecimal(dst, unscaled(v, whole), int(t.Scale)) }, nil
		}
	case *format.DateType:
		if kind == format.Int32 {
			return writeDate, nil
		}
	case *format.TimeType:
		if whole {
			digits := digitsOf(t.Unit)
			return func(dst []byte, v *lib.Value) []byte { return appendTime(dst, integer(v), digits) }, nil
		}
	case *format.TimestampType:
		if kind == format.Int64 {
			digits := digitsOf(t.Unit)
			return func(dst []byte, v *lib.Value) []byte {
				return appendTimestamp(dst, v.Int64(), digits, t.IsAdjustedToUTC)
			}, nil
		}
	case *format.IntType:
		switch {
		case t.IsSigned || !whole:
		case kind == format.Int32:
			return func(dst []byte, v *lib.Value) []byte { return strconv.AppendUint(dst, uint64(v.Uint32()), 10) }, nil
		default:
			return func(dst []byte, v *lib.Value) []byte { return strconv.AppendUint(dst, v.Uint64(), 10) }, nil
		}
	case *format.UUIDType:
		if kind == format.FixedLenByteArray && e.TypeLength.V == 16 {
			return writeUUID, nil
		}
	case *format.JsonType:
		if data {
			return writeJSON, nil
		}
	case *format.Float16Type:
		if kind == format.FixedLenByteArray && e.TypeLength.V == 2 {
			return func(dst []byte, v *lib.Value) []byte {
				return appendFloat(dst, float64(half(binary.LittleEndian.Uint16(v.ByteArray()))), 32)
			}, nil
		}
	case *format.BsonType, *format.GeometryType, *format.GeographyType:
		if data {
			return writeBase64, nil
		}
	}
	return nil, nil
}

// upgraded is the logical type of e, also where an old writer gave only its converted type.
func upgraded(e *format.SchemaElement) any {
	if e.LogicalType.Value != nil || !e.ConvertedType.Valid {
		return e.LogicalType.Value
	}
	milli, micro := format.TimeUnit{Value: new(format.MilliSeconds)}, format.TimeUnit{Value: new(format.MicroSeconds)}
	switch e.ConvertedType.V {
	case deprecated.Decimal:
		return &format.DecimalType{Scale: e.Scale.V, Precision: e.Precision.V}
	case deprecated.Date:
		return new(format.DateType)
	case deprecated.TimeMillis:
		return &format.TimeType{Unit: milli}
	case deprecated.TimeMicros:
		return &format.TimeType{Unit: micro}
	case deprecated.TimestampMillis:
		return &format.TimestampType{IsAdjustedToUTC: true, Unit: milli}
	case deprecated.TimestampMicros:
		return &format.TimestampType{IsAdjustedToUTC: true, Unit: micro}
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return new(format.IntType)
	case deprecated.Json:
		return new(format.JsonType)
	case deprecated.Bson:
		return new(format.BsonType)
	default:
		return nil
	}
}

func integer(v *lib.Value) int64 {
	if v.Kind() == lib.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// unscaled is a DECIMAL's digits and sign.
func unscaled(v *lib.Value, whole bool) string {
	if whole {
		return strconv.FormatInt(integer(v), 10)
	}
	b := v.ByteArray() // big-endian, two's complement
	if len(b) <= 8 && len(b) > 0 {
		n := int64(int8(b[0]))
		for _, c := range b[1:] {
			n = n<<8 | int64(c)
		}
		return strconv.FormatInt(n, 10)
	}
	if len(b) > 64 {
		return "" // no engine's
	}
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n.String()
}

func appendDecimal(dst []byte, digits string, scale int) []byte {
	if digits == "" {
		return append(dst, `"DECIMAL of more than 64 bytes"`...)
	}
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	if scale == 0 {
		return append(dst, digits...)
	}
	if n := scale + 1 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	dst = append(dst, '.')
	return append(dst, digits[len(digits)-scale:]...)
}

// appendFloat is the shortest number, in the form that encoding/json has.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	form := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, f, form, -1, bits)
}

// half widens a number of 16 bits.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, int(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0:
		f := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | uint32(exponent+112)<<23 | fraction<<13)
}

func writeDate(dst []byte, v *lib.Value) []byte {
	t := time.Unix(int64(v.Int32())*86400, 0).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return strconv.AppendInt(dst, int64(v.Int32()), 10)
	}
	return t.AppendFormat(dst, `"2006-01-02"`)
}

// split cuts a count of units into seconds and the fraction; per are the units of a second.
func split(n int64, digits int) (seconds, fraction, per int64) {
	per = 1
	for range digits {
		per *= 10
	}
	seconds, fraction = n/per, n%per
	if fraction < 0 {
		seconds, fraction = seconds-1, fraction+per
	}
	return seconds, fraction, per
}

func appendFraction(dst []byte, fraction, per int64) []byte {
	if fraction == 0 {
		return dst
	}
	begin := len(dst)
	dst = strconv.AppendInt(dst, per+fraction, 10)
	dst[begin] = '.'
	return dst
}

func appendTimestamp(dst []byte, n int64, digits int, utc bool) []byte {
	seconds, fraction, per := split(n, digits)
	t := time.Unix(seconds, 0).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return strconv.AppendInt(dst, n, 10)
	}
	dst = t.AppendFormat(dst, `"2006-01-02T15:04:05`)
	dst = appendFraction(dst, fraction, per)
	if utc {
		dst = append(dst, 'Z')
	}
	return append(dst, '"')
}

func appendTime(dst []byte, n int64, digits int) []byte {
	seconds, fraction, per := split(n, digits)
	if seconds < 0 || seconds > 86400 {
		return strconv.AppendInt(dst, n, 10)
	}
	dst = fmt.Appendf(dst, `"%02d:%02d:%02d`, seconds/3600, seconds/60%60, seconds%60)
	return append(appendFraction(dst, fraction, per), '"')
}

// writeInt96 writes a Julian day and the nanoseconds in it, as Impala, Hive and Spark have it.
func writeInt96(dst []byte, v *lib.Value) []byte {
	w := v.Int96()
	const unixDay = 2440588
	day, nanos := int64(w[2])-unixDay, int64(w[1])<<32|int64(w[0])
	seconds, fraction, per := split(nanos, 9)
	t := time.Unix(day*86400+seconds, 0).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return fmt.Appendf(dst, `"%08x%08x%08x"`, w[2], w[1], w[0])
	}
	dst = t.AppendFormat(dst, `"2006-01-02T15:04:05`)
	return append(appendFraction(dst, fraction, per), `Z"`...)
}

func writeUUID(dst []byte, v *lib.Value) []byte {
	b := v.ByteArray()
	if len(b) != 16 {
		return writeBase64(dst, v)
	}
	dst = append(dst, '"')
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return append(dst, '"')
}

func writeText(dst []byte, v *lib.Value) []byte {
	if b := v.ByteArray(); utf8.Valid(b) {
		return appendString(dst, b)
	}
	return writeBase64(dst, v)
}

func writeBase64(dst []byte, v *lib.Value) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, v.ByteArray())
	return append(dst, '"')
}

func writeJSON(dst []byte, v *lib.Value) []byte {
	if b := v.ByteArray(); json.Valid(b) {
		return append(dst, b...)
	}
	return writeText(dst, v)
}

// appendString appends s, which is UTF-8, as JSON.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	begin := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[begin:i]...)
		begin = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, `\u00`...)
			dst = hex.AppendEncode(dst, []byte{c})
		}
	}
	return append(append(dst, s[begin:]...), '"')
}
