package kinesis

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

// What the AWS SDK for Java sent, caught on the wire (software.amazon.awssdk
// kinesis 2.57.8): what we send for the same records is the same.
func TestCBORRequestIsJavas(t *testing.T) {
	want, err := os.ReadFile("testdata/putrecords-java-2.57.8.cbor")
	if err != nil {
		t.Fatal(err)
	}
	recs := []record.Record{{PartitionKey: "user-1"}, {PartitionKey: "a key of more than twenty-three characters", ExplicitHashKey: "170141183460469231731687303715884105728"},
		{PartitionKey: "k"}, {PartitionKey: "é€"}}
	for i, n := range []int{0, 5, 200, 400} {
		for j := range n {
			recs[i].Data = append(recs[i].Data, byte(j*7+i))
		}
	}
	name := "events"
	if got := appendCBORRequest(nil, &sdk.PutRecordsInput{StreamName: &name}, recs); string(got) != string(want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// Both wires say the same, whatever is in the records, and the buffer is made once.
func TestWiresSayTheSame(t *testing.T) {
	type request struct {
		DryRun                          *bool
		StreamARN, StreamId, StreamName *string
		Records                         []struct {
			Data                          []byte
			PartitionKey, ExplicitHashKey *string
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		recs := drawRecords(t)
		if rapid.Bool().Draw(t, "large") {
			recs = append(recs, record.Record{Data: make([]byte, rapid.IntRange(200, 70_000).Draw(t, "size")), PartitionKey: strings.Repeat("k", rapid.IntRange(1, 256).Draw(t, "length"))})
		}
		in := &sdk.PutRecordsInput{StreamName: drawOptional(t, "name"), StreamARN: drawOptional(t, "arn"), StreamId: drawOptional(t, "id")}
		if rapid.Bool().Draw(t, "dry run given") {
			dry := rapid.Bool().Draw(t, "dry run")
			in.DryRun = &dry
		}
		var want, got request
		if err := json.Unmarshal(appendRequest(nil, in, recs), &want); err != nil {
			t.Fatal(err)
		}
		body := appendCBORRequest(nil, in, recs)
		if err := cbor.Unmarshal(body, &got); err != nil {
			t.Fatalf("%x: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-json +cbor\n%s", diff)
		}
		name := "events"
		for i := range recs { // of texts that are not written otherwise
			recs[i].PartitionKey, recs[i].ExplicitHashKey = "user-1", "17"
		}
		n := len(appendCBORRequest(nil, &sdk.PutRecordsInput{StreamName: &name}, recs))
		if size := cborRequestSize(recs); size < n || size > n+512+20*len(recs) {
			t.Fatalf("%d bytes foreseen for %d", size, n)
		}
	})
}

// answerInCBOR is an answer as the library reads it, which is ours to be held against.
type answerInCBOR struct {
	Records []struct{ SequenceNumber, ShardId, ErrorCode, ErrorMessage string }
}

func decodeCBOR(text []byte) (entries []entry, err error) {
	mode, err := cbor.DecOptions{FieldNameMatching: cbor.FieldNameMatchingCaseSensitive, UTF8: cbor.UTF8DecodeInvalid, DupMapKey: cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels: 64, MaxArrayElements: 1 << 20}.DecMode()
	if err != nil {
		return nil, err
	}
	var a answerInCBOR
	if err := mode.Unmarshal(text, &a); err != nil {
		return nil, err
	}
	for _, r := range a.Records {
		entries = append(entries, entry{[]byte(r.SequenceNumber), []byte(r.ShardId), []byte(r.ErrorCode), []byte(r.ErrorMessage), 0})
	}
	return entries, nil
}

// What is read is CBOR and says what the library reads in it; and no answer makes
// the reader fall over or break the contract of a Put.
func FuzzCBORAnswer(f *testing.F) {
	for _, a := range cborAnswers {
		f.Add([]byte(a.answer), len(a.want))
	}
	f.Fuzz(func(t *testing.T, answer []byte, n int) {
		n = min(max(n, 0), 1000)
		got, ok := scanCBOR(answer, nil, n)
		want, err := decodeCBOR(answer)
		var dup *cbor.DupMapKeyError
		if ok && errors.As(err, &dup) {
			t.Skip("the last of two members counts")
		}
		if wellFormed := cbor.Wellformed(answer); ok && wellFormed != nil {
			t.Fatalf("%x: read %v, the library says %v", answer, seen(got), wellFormed)
		}
		if ok && err == nil && !cmp.Equal(told(got), told(want)) {
			t.Fatalf("%x: read %v, the library reads %v", answer, seen(got), seen(want))
		}
		recs := make([]record.Record, n)
		for i := range recs {
			recs[i].ID.Event = uint32(i)
		}
		r := read(string(answer))
		out, failed := r.outcomes(recs, CBOR)
		if (failed == nil) != (ok && count(got) == n) || failed != nil && !errors.Is(failed, errBroken) {
			t.Fatalf("%x: outcomes say %v, read %d entries for %d records: %t", answer, failed, count(got), n, ok)
		}
		for _, e := range got {
			stored := len(e.code) == 0 && len(e.sequence) > 0 && len(e.shard) > 0
			for range min(e.more+1, len(out)) {
				if o := out[0]; o.ID != recs[0].ID || (o.Fate == record.Acked) != stored || stored != (o.Code == "" && o.Err == nil) {
					t.Errorf("%x: %s became %+v", answer, seen([]entry{e}), o)
				}
				out, recs = out[1:], recs[1:]
			}
		}
	})
}

// Pieces of answers: two entries of records that were stored.
const (
	cborEntry     = "\xa2\x6eSequenceNumber\x6249\x67ShardId\x63s-0"
	cborOpenEntry = "\xbf\x6eSequenceNumber\x6250\x67ShardId\x63s-1\xff"
	cborFailure   = "\xa2\x69ErrorCode\x6fInternalFailure\x6cErrorMessage\x65sorry"
)

// cborAnswers are answers with what is to be read from them.
var cborAnswers = []struct {
	answer string
	want   []string // nil: broken
}{
	{"\xa1\x67Records\x82" + cborEntry + cborOpenEntry, []string{`"49" "s-0" "" ""`, `"50" "s-1" "" ""`}},
	{"\xbf\x6eEncryptionType\x64NONE\x71FailedRecordCount\x01\x67Records\x9f" + cborOpenEntry + cborFailure + "\xff\xff", []string{`"50" "s-1" "" ""`, `"" "" "InternalFailure" "sorry"`}},
	{"\xa1\x67Records\x81\xa4\x67ShardId\x63s-0\x69ErrorCode\xf6\x6cErrorMessage\xf6\x6eSequenceNumber\x6249", []string{`"49" "s-0" "" ""`}},
	{"\xa1\x67Records\x81\xa3\x6eSequenceNumber\x6249\x67ShardId\x63s-0\x63New\x83\x01\xa1\x61a\xfb\x40\x09\x21\xfb\x54\x44\x2d\x18\xc1\x1a\x65\x00\x00\x00", []string{`"49" "s-0" "" ""`}},
	{"\xa1\x67Records\x81\xa2\x6eSequenceNumber\x7f\x614\x619\xff\x67ShardId\x63s-0", []string{`"49" "s-0" "" ""`}},
	{"\xa1\x67Records\x81\xa2\x6eSequenceNumber\x78\x0249\x67ShardId\x79\x00\x03s-0", []string{`"49" "s-0" "" ""`}},
	{"\xa1\x67Records\x81\xa1\x69ErrorCode\x61\xff", []string{`"" "" "\ufffd" ""`}},
	{"\xa1\x67Records\x81\xa2\x6eSequenceNumber\x60\x67ShardId\x63s-0", []string{`"" "s-0" "" ""`}},
	{"\xa1\x67Records\x81\xa0", []string{`"" "" "" ""`}},
	{"\xa1\x67Records\x80", []string{}},
	{"\xa1\x67Records\xf6", []string{}},
	{"\xa1\x67records\x81" + cborEntry, nil},
	{"\xa1\x67Records\x81\xa2\x6eSequenceNumber\x18\x31\x67ShardId\x63s-0", nil},
	{"\xa1\x67Records\x81\xa2\x6eSequenceNumber\x4249\x67ShardId\x63s-0", nil},
	{"\xa1\x67Records\xa1\x61a" + cborEntry, nil},
	{"\xa1\x67Records\x81\x6249", nil},
	{"\xa1\x67Records\x81\xf6", nil},
	{"\xa1\x67Records\x82" + cborEntry, nil},
	{"\xa1\x67Records\x80" + cborEntry, nil},
	{"\xbf\x67Records\x9f" + cborEntry + "\xff", nil},
	{"\xa1\x67Records\x9b\xff\xff\xff\xff\xff\xff\xff\xff" + cborEntry, nil},
	{"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x67Records\x80", nil},
	{"\xa1\x67Records\x81\xa1\x7b\xff\xff\xff\xff\xff\xff\xff\xffa", nil},
	{"\xa2\x67Records\x80\x01\x02", nil},
	{"\xa2\x67Records\x80\x61a\xf8\x14", nil},
	{"\xa2\x67Records\x80\x61a\xff", nil},
	{"\xa2\x67Records\x80\x61a\x1c", nil},
	{"\xa2\x67Records\x80\x61a\x1f", nil},
	{"\xa2\x67Records\x80\x61a\x7f\x7f\x61b\xff\xff", nil},
	{"\xa2\x67Records\x80\x61a\xbf\x01\xff", nil},
	{"\xa2\x66__type\x63abc\x67message\x63abc", nil},
	{"\x80", nil},
	{"\xf6", nil},
	{"\xff", nil},
	{"", nil},
	{`{"Records":[]}`, nil},
	{"<html>", nil},
	{"\xa2\x67Records\x80\x61a" + strings.Repeat("\x81", 100_000), nil},
	{"\xa2\x67Records\x80\x61a" + strings.Repeat("\xc1", 100_000), nil},
	{"\xbf" + strings.Repeat("\x67Records\x9f", 20_000), nil},
}

func TestCBORAnswersAreRead(t *testing.T) {
	for _, a := range cborAnswers {
		r := read(a.answer)
		out, err := r.outcomes(make([]record.Record, len(a.want)), CBOR)
		if (err != nil) != (a.want == nil) {
			t.Errorf("%.90q: got %v, want it broken: %t", a.answer, err, a.want == nil)
		}
		var got []string
		for i, o := range out {
			if e := r.entries[i]; len(e.code) > 0 {
				got = append(got, fmt.Sprintf("%+q %+q %+q %+q", e.sequence, e.shard, o.Code, e.message))
			} else {
				got = append(got, seen(r.entries[i:i+1])...)
			}
		}
		if strings.Join(got, "\n") != strings.Join(a.want, "\n") {
			t.Errorf("%.90q: got %v, want %v", a.answer, got, a.want)
		}
	}
}

// Whatever the library writes is read, in lists and maps with and without a
// length; and no part of it is taken for the whole.
func TestCBORAnswersOfOthersAreRead(t *testing.T) {
	r := readers.New().(*answerReader)
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.MapOfN(rapid.SampledFrom([]string{"SequenceNumber", "ShardId", "ErrorCode", "ErrorMessage"}), rapid.StringN(0, 300, -1), 0, 4), 0, 6).Draw(t, "entries")
		more := rapid.SampledFrom([]any{nil, "NONE", 7, -70_000, 1.5, true, []byte("x"), []any{1, map[string]any{"Records": 1}}, cbor.Tag{Number: 1, Content: 1}}).Draw(t, "more")
		var text strings.Builder
		e := cbor.NewEncoder(&text)
		var err error
		if rapid.Bool().Draw(t, "with lengths") {
			err = e.Encode(map[string]any{"EncryptionType": more, "Records": entries})
		} else {
			err = errors.Join(e.StartIndefiniteMap(), e.Encode("More"), e.Encode(more), e.Encode("Records"), e.StartIndefiniteArray())
			for _, m := range entries {
				err = errors.Join(err, e.StartIndefiniteMap())
				for name, value := range m {
					err = errors.Join(err, e.Encode(name), e.Encode(value))
				}
				err = errors.Join(err, e.EndIndefinite())
			}
			err = errors.Join(err, e.EndIndefinite(), e.EndIndefinite())
		}
		if err != nil {
			t.Fatal(err)
		}
		got, ok := scanCBOR([]byte(text.String()), r.entries[:0], len(entries))
		var want []entry
		for _, m := range entries {
			want = append(want, entry{[]byte(m["SequenceNumber"]), []byte(m["ShardId"]), []byte(m["ErrorCode"]), []byte(m["ErrorMessage"]), 0})
		}
		if diff := cmp.Diff(told(want), told(got)); !ok || diff != "" {
			t.Fatalf("%x: %t, %s", text.String(), ok, diff)
		}
		part := text.String()[:rapid.IntRange(0, text.Len()-1).Draw(t, "part")]
		if _, ok := scanCBOR([]byte(part), nil, len(entries)); ok {
			t.Fatalf("%x, a part of %x, is read", part, text.String())
		}
	})
}

// An answer in which a byte is another one, or is not there, is read as the
// library reads it, or refused; and so is a part of one.
func TestDamagedCBORAnswersAreRead(t *testing.T) {
	const one = "\xa2\x6eSequenceNumber\x78\x041234\x67ShardId\x62s0"
	for _, answer := range []string{"\xa1\x67Records\x82" + one + one, "\xa1\x67Records\x9f" + one + one + "\xff"} {
		for text := range damaged([]byte(answer)) {
			got, ok := scanCBOR(text, nil, 2)
			if !ok {
				continue
			}
			want, err := decodeCBOR(text)
			if broken := cbor.Wellformed(text); broken != nil || err == nil && !cmp.Equal(told(got), told(want)) {
				t.Errorf("%x: read %v, the library reads %v, %v", text, seen(got), seen(want), errors.Join(broken, err))
			}
		}
	}
}

// Of entries that nobody asked for no memory is made: a list of empty maps would
// be a hundred times its size.
func TestEntriesAreCountedFirst(t *testing.T) {
	got, ok := scanCBOR([]byte("\xa1\x67Records\x9f"+strings.Repeat("\xa0", 1<<20)+"\xff"), nil, 5)
	if ok || len(got) > 6 || cap(got) > 12 {
		t.Errorf("%d entries in room for %d: %t", len(got), cap(got), ok)
	}
}

func TestCBORAnswerAllocatesOnce(t *testing.T) {
	for name, text := range map[string]string{"with lengths": "\xa1\x67Records\x99\x01\xf4" + strings.Repeat(cborEntry, 500), "without": "\xbf\x67Records\x9f" + strings.Repeat(cborOpenEntry, 500) + "\xff\xff"} {
		recs := make([]record.Record, 500)
		r := read(text)
		if n := testing.AllocsPerRun(20, func() {
			if _, err := r.outcomes(recs, CBOR); err != nil {
				t.Error(err)
			}
		}); n > 1 {
			t.Errorf("%s: %v allocations, want 1", name, n)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	recs := make([]record.Record, 500)
	digits, shard := strings.Repeat("49", 28), "shardId-000000000000"
	for _, bm := range []struct {
		name, text string
		wire       Wire
	}{
		{"json", `{"FailedRecordCount":0,"Records":[` + strings.TrimSuffix(strings.Repeat(`{"SequenceNumber":"`+digits+`","ShardId":"`+shard+`"},`, 500), ",") + `]}`, JSON},
		{"cbor", "\xbf\x67Records\x9f" + strings.Repeat("\xbf\x6eSequenceNumber\x78\x38"+digits+"\x67ShardId\x74"+shard+"\xff", 500) + "\xff\xff", CBOR},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r := read(bm.text)
			b.SetBytes(int64(len(bm.text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.outcomes(recs, bm.wire); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
		})
	}
}

// An error in CBOR reaches the SDK's own protocol in JSON; all else as it is.
func TestErrorsReachTheSDK(t *testing.T) {
	for text, want := range map[string]string{
		"\xa2\x66__type\x63abc\x67message\x63abc":                     `{"__type":"abc","message":"abc"}`,
		"\xbf\x67Message\x62\x22\x0a\x66__type\x65a#b:c\x61x\x80\xff": `{"Message":"\"\n","__type":"a#b:c"}`,
		"\xa1\x66__type\x63a\xff\x62":                                 `{"__type":"a\ufffdb"}`,
		"\xa0":                                                        `{}`,
		`{"__type":"abc"}`:                                            `{"__type":"abc"}`,
		"\xa1\x66__type\x01":                                          "\xa1\x66__type\x01",
		"\xa1\x66__type":                                              "\xa1\x66__type",
		"":                                                            "",
		strings.Repeat("<html>", maxError):                            strings.Repeat("<html>", maxError),
		"\xa0" + strings.Repeat(" ", 2*maxError):                      "\xa0" + strings.Repeat(" ", 2*maxError),
	} {
		body := &closed{Reader: strings.NewReader(text)}
		to := errorInJSON(body)
		got, err := io.ReadAll(to)
		if err = errors.Join(err, to.Close()); err != nil || string(got) != want || !body.done {
			t.Errorf("%.90q became %.90q (%v, closed %t), want %.90q", text, got, err, body.done, want)
		}
	}
}

type closed struct {
	io.Reader
	done bool
}

func (c *closed) Close() error { c.done = true; return nil }
