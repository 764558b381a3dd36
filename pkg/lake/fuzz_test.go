package lake

import (
	"testing"
)

// Whatever an object holds: no panic, the books close, how it is read and
// whether it is gzipped makes no difference.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"a":1}{"b":2}`, "{\"a\":1}\r\n\n{\"b\":\"}{\\\"\"}", `{"a":"b}{"c":1}{"d":2}`, "[{},{}]\n{}",
		"x{\"a\":\n{}\n{", "\x1f\x8b\x08", `{"a":{"b":[1,{"c":2}{"d":3}`, "{\"long\":\"" + string(make([]byte, 99)) + "\"}{}",
		string(zip([]byte(`{"a":1}{"b":2}`), 2)),
	} {
		f.Add([]byte(seed), uint8(3), uint8(40))
	}
	f.Fuzz(func(t *testing.T, data []byte, chunk, longest uint8) {
		most := int(longest) + 1
		if isMagic := len(data) > 1 && data[0] == 0x1f && data[1] == 0x8b; isMagic {
			scanBytes(t, data, most, chunks(int(chunk)+1))
			return
		}
		plain := scanBytes(t, data, most, nil)
		plain.covers(t, data)
		for name, other := range map[string]found{
			"in chunks": scanBytes(t, data, most, chunks(int(chunk)+1)), "gzipped": scanBytes(t, zip(data, 2), most, nil),
		} {
			other.covers(t, data)
			if other.spans() != plain.spans() || len(other.rows) != len(plain.rows) {
				t.Errorf("%s: %d rows, damage %s; want %d rows, damage %s",
					name, len(other.rows), other.spans(), len(plain.rows), plain.spans())
			}
		}
		for _, r := range plain.rows {
			if len(r.Data) > most || r.Data[0] != '{' || r.Data[len(r.Data)-1] != '}' {
				t.Errorf("row %q (longest %d)", r.Data, most)
			}
		}
	})
}
