package record_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

func id(t *rapid.T) (record.Tag, uint32, uint32) {
	return record.Tag(rapid.Uint32().Draw(t, "tag")), rapid.Uint32().Draw(t, "user"),
		rapid.Uint32Range(0, record.MaxSlot).Draw(t, "slot")
}

// A uuid gives back exactly what went into it, whatever its version nibble.
func TestUUIDInverts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag, user, slot := id(t)
		u := record.EncodeUUID(tag, user, slot)
		b := u.Bytes()
		if b[6]>>4 != 4 || b[8]>>6 != 0b10 {
			t.Fatalf("%x is not a version 4 uuid", b)
		}
		b[6] = b[6]&15 | rapid.Byte().Draw(t, "version")<<4
		u = record.UUIDOf(b)
		gotTag, gotUser, gotSlot, ok := record.DecodeUUID(u)
		if !ok || gotTag != tag || gotUser != user || gotSlot != slot {
			t.Fatalf("decoded %v %v %v %v, want %v %v %v", gotTag, gotUser, gotSlot, ok, tag, user, slot)
		}
	})
}

// Uuids of other producers are never taken for ours.
func TestUUIDForeign(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 {
		var u [16]byte
		binary.LittleEndian.PutUint64(u[:8], r.Uint64())
		binary.LittleEndian.PutUint64(u[8:], r.Uint64())
		u[6], u[8] = u[6]&15|4<<4, u[8]&63|2<<6
		if tag, user, slot, ok := record.DecodeUUID(record.UUIDOf(u)); ok {
			t.Fatalf("%x decoded to %v %v %v", u, tag, user, slot)
		}
	}
}

// No single flipped bit turns an id into another id; flips of the version
// nibble alone are no damage.
func TestUUIDDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	samples := 200_000
	if testing.Short() {
		samples = 10_000
	}
	for i := range samples {
		// Half of the samples are small numbers, as real ids are.
		tag, user, slot := record.Tag(r.Uint32()), r.Uint32(), r.Uint32()&record.MaxSlot
		if i%2 == 0 {
			user, slot = user&0xfffff, slot&31
		}
		u := record.EncodeUUID(tag, user, slot)
		for bit := range 128 {
			if bit>>3 == 6 && bit&7 >= 4 {
				continue
			}
			d := u.Bytes()
			d[bit>>3] ^= 1 << (bit & 7)
			if tag, user, slot, ok := record.DecodeUUID(record.UUIDOf(d)); ok {
				t.Fatalf("%x, bit %d flipped, decoded to %v %v %v", u, bit, tag, user, slot)
			}
		}
	}
}

// Every input bit moves every free output bit about half the time.
func TestUUIDMixes(t *testing.T) {
	const samples = 2000
	r := rand.New(rand.NewPCG(5, 6))
	var moved [82][128]int
	for range samples {
		tag, user, slot := r.Uint32(), r.Uint32()&0xfffff, r.Uint32()&31
		u := record.EncodeUUID(record.Tag(tag), user, slot).Bytes()
		for in := range moved {
			tag, user, slot := tag, user, slot
			switch {
			case in < 32:
				tag ^= 1 << in
			case in < 64:
				user ^= 1 << (in - 32)
			default:
				slot ^= 1 << (in - 64)
			}
			v := record.EncodeUUID(record.Tag(tag), user, slot).Bytes()
			for out := range 128 {
				moved[in][out] += int((u[out>>3] ^ v[out>>3]) >> (out & 7) & 1)
			}
		}
	}
	for in := range moved {
		for out, n := range moved[in] {
			fixed := out>>3 == 6 && out&7 >= 4 || out>>3 == 8 && out&7 >= 6
			if !fixed && (n < samples*2/5 || n > samples*3/5) {
				t.Errorf("input bit %d moved output bit %d in %d of %d samples", in, out, n, samples)
			}
		}
	}
}

// The format is fixed: ids that were sent once are recognised for ever.
func TestUUIDGolden(t *testing.T) {
	for _, c := range []struct {
		tag        record.Tag
		user, slot uint32
		want       string
	}{
		{0, 0, 0, "5c9cfff6-da07-4214-a088-147f81770c06"},
		{0xdeadbeef, 1, 2, "c86a09c3-006c-4952-9a77-32d5e01358c8"},
		{1, 999_999, 17, "20961f5e-409f-44c9-8461-923f184837ce"},
		{1<<32 - 1, 1<<32 - 1, record.MaxSlot, "a2e82705-f452-4f9d-9796-aeca8eff975b"},
	} {
		u := record.EncodeUUID(c.tag, c.user, c.slot)
		if got := string(record.AppendUUID(nil, u, 4)); got != c.want {
			t.Errorf("EncodeUUID(%#x, %d, %d) = %s, want %s", c.tag, c.user, c.slot, got, c.want)
		}
	}
}

func TestEncodeUUIDPanicsOnLargeSlot(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a slot above MaxSlot was encoded")
		}
	}()
	record.EncodeUUID(1, 2, record.MaxSlot+1)
}

// What ParseUUID accepts, AppendUUID writes back byte for byte.
func TestUUIDFormKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "u"))
		u[8] = u[8]&63 | 2<<6
		text := hex.EncodeToString(u[:])
		if rapid.Bool().Draw(t, "hyphens") {
			text = text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
		}
		if rapid.Bool().Draw(t, "upper") {
			text = strings.ToUpper(text)
		}
		got, form, ok := record.ParseUUID([]byte(text))
		if !ok || got.Bytes() != u || form.Len() != len(text) || form.Version() != int(u[6]>>4) {
			t.Fatalf("ParseUUID(%s) = %x, %b, %v", text, got, form, ok)
		}
		if back := string(record.AppendUUID(nil, got, form)); back != text {
			t.Fatalf("%s became %s", text, back)
		}
	})
}

func TestParseUUIDRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "short": "01234567-89ab-4def-8123-456789abcde", "long": "01234567-89ab-4def-8123-456789abcdef0",
		"nil": "00000000-0000-0000-0000-000000000000", "max": "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"mixed case": "01234567-89ab-4DEF-8123-456789abcdef", "no digit": "g1234567-89ab-4def-8123-456789abcdef",
		"hyphen misplaced": "012345678-9ab-4def-8123-456789abcdef", "hyphen in compact": "0123456789ab4def8123456789abcde-",
		"Microsoft variant": "01234567-89ab-4def-c123-456789abcdef", "braces": "{0123456789ab4def8123456789abcd}",
	} {
		if u, _, ok := record.ParseUUID([]byte(text)); ok {
			t.Errorf("%s: ParseUUID(%q) = %x, want a refusal", name, text, u)
		}
	}
}

func FuzzParseUUID(f *testing.F) {
	f.Add([]byte("01234567-89ab-4def-8123-456789abcdef"))
	f.Add([]byte("0123456789AB7DEF8123456789ABCDEF"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if u, form, ok := record.ParseUUID(text); ok {
			if back := record.AppendUUID(nil, u, form); !bytes.Equal(back, text) {
				t.Errorf("%q became %q", text, back)
			}
		}
	})
}

// Runs that differ in anything have different tags.
func TestRunTag(t *testing.T) {
	a := record.RunTag([32]byte{1}, 2, "r")
	if a != 0xbce67619 {
		t.Errorf("tag %#x is not the golden one", uint32(a))
	}
	seen := map[record.Tag]bool{a: true}
	for _, b := range []record.Tag{
		record.RunTag([32]byte{2}, 2, "r"), record.RunTag([32]byte{1}, 3, "r"), record.RunTag([32]byte{1}, 2, "s"), record.RunTag([32]byte{1}, 2, ""),
	} {
		if seen[b] {
			t.Errorf("tag %#x twice", uint32(b))
		}
		seen[b] = true
	}
}

// A tag is written as it stands in an id.
func TestTagText(t *testing.T) {
	want := record.Tag(0xabc)
	text, err := want.MarshalText()
	if err != nil || string(text) != "00000abc" {
		t.Fatalf("MarshalText = %q, %v", text, err)
	}
	var got record.Tag
	if err := got.UnmarshalText(text); err != nil || got != want {
		t.Errorf("UnmarshalText(%s) = %v, %v", text, got, err)
	}
	for _, s := range []string{"", "abc", "0000000g", "000000abc"} {
		if got.UnmarshalText([]byte(s)) == nil {
			t.Errorf("UnmarshalText(%q) took it", s)
		}
	}
}

func TestParseIDInverts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := record.ID{Run: record.Tag(rapid.Uint32().Draw(t, "run")), User: rapid.Uint32().Draw(t, "user"),
			Event: rapid.Uint32().Draw(t, "event"), Copy: rapid.Uint16().Draw(t, "copy")}
		if got, err := record.ParseID(want.String()); err != nil || got != want {
			t.Fatalf("ParseID(%s) = %v, %v", want, got, err)
		}
	})
}

func TestParseIDRefuses(t *testing.T) {
	for _, s := range []string{"", "00000001", "00000001/2", "00000001/2/3/4/5", "1/2/3", "0000000A/2/3", "00000001/02/3",
		"00000001/2/3/0", "00000001/2/3/65536", "00000001/4294967296/3", "00000001/+2/3", "00000001/2/3/", "000000001/2/3"} {
		if got, err := record.ParseID(s); err == nil {
			t.Errorf("ParseID(%q) = %v, want an error", s, got)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("0000002a/1/2/3")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := record.ParseID(s); err == nil && got.String() != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// The words stand in reports, and Kinesis counts data and key.
func TestRecordWords(t *testing.T) {
	if got := (record.Record{Data: make([]byte, 7), PartitionKey: "abc"}).Size(); got != 10 {
		t.Errorf("size %d, want 10", got)
	}
	for f, want := range map[record.Fate]string{record.Unknown: "unknown", record.Acked: "acked", record.Refused: "refused", record.Unsent: "unsent"} {
		if f.String() != want {
			t.Errorf("fate %d is %q, want %q", f, f, want)
		}
	}
}

func TestUUIDAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 36)
	if n := testing.AllocsPerRun(100, func() {
		text := record.AppendUUID(dst, record.EncodeUUID(1, 2, 3), 4)
		u, _, _ := record.ParseUUID(text)
		_, _, _, _ = record.DecodeUUID(u)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A round trip as verify sees it: written as text, read back, decoded.
func BenchmarkUUIDText(b *testing.B) {
	dst := make([]byte, 0, 36)
	b.SetBytes(36)
	b.ReportAllocs()
	var i uint32
	for b.Loop() {
		dst = record.AppendUUID(dst[:0], record.EncodeUUID(7, i, i&31), 4)
		u, _, _ := record.ParseUUID(dst)
		if _, user, _, ok := record.DecodeUUID(u); !ok || user != i {
			b.Fatalf("user %d came back as %d, %v", i, user, ok)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
}

func BenchmarkUUID(b *testing.B) {
	b.ReportAllocs()
	var sum uint32
	var i uint32
	for b.Loop() {
		_, user, _, ok := record.DecodeUUID(record.EncodeUUID(7, i, i&31))
		if !ok {
			b.Fatal("not ok")
		}
		sum += user
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
}

func BenchmarkParseUUID(b *testing.B) {
	b.ReportAllocs()
	text := []byte("01234567-89ab-4def-8123-456789abcdef")
	for b.Loop() {
		if _, _, ok := record.ParseUUID(text); !ok {
			b.Fatal("not ok")
		}
	}
}

func BenchmarkAppendUUID(b *testing.B) {
	b.ReportAllocs()
	u := record.EncodeUUID(1, 2, 3)
	dst := make([]byte, 0, 36)
	for b.Loop() {
		dst = record.AppendUUID(dst[:0], u, 4)
	}
}

// An id of ours is written with the version that was captured, and says so.
func TestUUIDHasTheVersionOfItsForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := record.UUIDForm(rapid.Byte().Draw(t, "form") & 0x3f) // no ULID
		_, got, ok := record.ParseUUID(record.AppendUUID(nil, record.EncodeUUID(id(t)), form))
		if !ok || got != form {
			t.Fatalf("written in form %b, read as %b, %v", form, got, ok)
		}
	})
}

// A text begins with a uuid if and only if it begins with what would be appended.
func TestBeginsWithUUIDIsAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := record.EncodeUUID(id(t))
		form := record.UUIDForm(rapid.Byte().Draw(t, "form") & 0x7f)
		want := record.AppendUUID(nil, u, form)
		text := append(bytes.Clone(want), rapid.SampledFrom([]string{"", `"`, "0123456789abc"}).Draw(t, "tail")...)
		for i := range text { // whatever byte is another one by a bit
			for bit := range 8 {
				text[i] ^= 1 << bit
				if got := record.BeginsWithUUID(text, u, form); got != bytes.HasPrefix(text, want) {
					t.Fatalf("%q begins with %q: %v", text, want, got)
				}
				text[i] ^= 1 << bit
			}
		}
		text = text[:len(text)-rapid.IntRange(0, 2).Draw(t, "cut")]
		if got := record.BeginsWithUUID(text, u, form); got != bytes.HasPrefix(text, want) {
			t.Fatalf("%q begins with %q: %v", text, want, got)
		}
	})
}
