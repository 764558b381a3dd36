package record_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

const ulidAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ulidOf draws a ULID as anybody may have written it.
func ulidOf(t *rapid.T) string {
	text := []byte{ulidAlphabet[rapid.IntRange(0, 7).Draw(t, "first")]}
	for range 25 {
		text = append(text, ulidAlphabet[rapid.IntRange(0, 31).Draw(t, "digit")])
	}
	if rapid.Bool().Draw(t, "lower") {
		return strings.ToLower(string(text))
	}
	return string(text)
}

// What is read as a ULID is written back byte for byte.
func TestULIDFormKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := ulidOf(t)
		u, form, ok := record.ParseUUID([]byte(text))
		if !ok && strings.Trim(text, "0") != "" && strings.ToUpper(text) != "7"+strings.Repeat("Z", 25) {
			t.Fatalf("ParseUUID(%s) refuses", text)
		}
		if back := string(record.AppendUUID(nil, u, form)); ok && (back != text || form.Len() != 26 || !form.ULID()) {
			t.Fatalf("%s became %s", text, back)
		}
	})
}

// An id of ours is told in a captured ULID's form as well, in either case.
func TestULIDInverts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, form, ok := record.ParseUUID([]byte(ulidOf(t)))
		if !ok {
			t.Skip("all zeros or all ones")
		}
		tag, user, slot := id(t)
		text := record.AppendUUID(nil, record.EncodeUUID(tag, user, slot), form)
		u, again, ok := record.ParseUUID(text)
		gotTag, gotUser, gotSlot, ours := record.DecodeUUID(u)
		if !ok || !ours || gotTag != tag || gotUser != user || gotSlot != slot {
			t.Fatalf("%s: %v %v: %v %v %v, want %v %v %v", text, ok, ours, gotTag, gotUser, gotSlot, tag, user, slot)
		}
		if strings.ContainsAny(string(text), "ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz") && again != form {
			t.Fatalf("%s has form %b, want %b", text, again, form)
		}
	})
}

// No changed character turns a ULID into another id; where only the bits change
// that are the version of a uuid, it stays the id that it was.
func TestULIDDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	samples := 2000
	if testing.Short() {
		samples = 100
	}
	_, form, _ := record.ParseUUID([]byte("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
	for range samples {
		tag, user, slot := record.Tag(r.Uint32()), r.Uint32()&0xfffff, r.Uint32()&31
		u := record.EncodeUUID(tag, user, slot)
		text := record.AppendUUID(nil, u, form)
		for i := range text {
			for c := range len(ulidAlphabet) {
				d := []byte(string(text))
				d[i] = ulidAlphabet[c]
				got, _, ok := record.ParseUUID(d)
				if d[i] == text[i] || !ok {
					continue
				}
				unversioned := got
				unversioned.Hi = unversioned.Hi&^0xf000 | u.Hi&0xf000
				gotTag, gotUser, gotSlot, ours := record.DecodeUUID(got)
				if ours && (unversioned != u || gotTag != tag || gotUser != user || gotSlot != slot) {
					t.Fatalf("%s for %s decoded to %v %v %v", d, text, gotTag, gotUser, gotSlot)
				}
			}
		}
	}
}

func TestParseULIDRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"mixed case": "01ARZ3NDEKTSV4RRFFQ69G5FAv", "over 128 bits": "81ARZ3NDEKTSV4RRFFQ69G5FAV", "letter I": "01ARZ3NDEKTSV4RRFFQ69G5FAI",
		"letter u": "01arz3ndektsv4rrffq69g5fau", "sign": "01ARZ3NDEKTSV4RRFFQ69G5FA-", "short": "01ARZ3NDEKTSV4RRFFQ69G5FA",
		"zeros": strings.Repeat("0", 26), "ones": "7" + strings.Repeat("Z", 25), "lower ones": "7" + strings.Repeat("z", 25),
	} {
		if u, form, ok := record.ParseUUID([]byte(text)); ok {
			t.Errorf("%s: ParseUUID(%s) = %x, %b", name, text, u, form)
		}
	}
}

// The format is fixed: ULIDs that were sent once are recognised for ever.
func TestULIDGolden(t *testing.T) {
	_, form, _ := record.ParseUUID([]byte("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
	u := record.EncodeUUID(0xdeadbeef, 1, 2)
	if got, want := string(record.AppendUUID(nil, u, form)), "68D84W603C9599MXSJTQG16P68"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestULIDAllocatesNothing(t *testing.T) {
	_, form, _ := record.ParseUUID([]byte("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
	dst := make([]byte, 0, 26)
	if n := testing.AllocsPerRun(100, func() {
		u, _, _ := record.ParseUUID(record.AppendUUID(dst, record.EncodeUUID(1, 2, 3), form))
		_, _, _, _ = record.DecodeUUID(u)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
