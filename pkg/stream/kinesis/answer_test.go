package kinesis

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kreplay/pkg/record"
)

func read(text string) *answerReader {
	r := readers.New().(*answerReader)
	r.text = []byte(text)
	return r
}

// told is what counts of entries, record by record: whether there is a sequence
// number, not which one.
func told(entries []entry) (all []string) {
	for _, e := range entries {
		for range e.more + 1 {
			all = append(all, fmt.Sprintf("%t %+q %+q %+q", len(e.sequence) > 0, e.shard, e.code, e.message))
		}
	}
	return all
}

// seen is entries as strings.
func seen(entries []entry) (all []string) {
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%+q %+q %+q %+q", e.sequence, e.shard, e.code, e.message))
	}
	return all
}

// Whatever the quick scan takes, encoding/json takes too and reads alike; and
// no answer makes the reader fall over or break the contract of a Put.
func FuzzAnswer(f *testing.F) {
	for _, text := range answers {
		f.Add([]byte(text.answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		quick, plain := scan(answer, nil)
		slow, err := decode(answer, nil)
		if plain && (err != nil || !cmp.Equal(told(quick), told(slow))) {
			t.Errorf("%q: scanned %v, encoding/json says %v, %v", answer, seen(quick), seen(slow), err)
		}
		recs := make([]record.Record, len(slow))
		for i := range recs {
			recs[i].ID.Event = uint32(i)
		}
		out, failed := read(string(answer)).outcomes(recs, JSON)
		if (failed != nil) != (err != nil) || failed != nil && !errors.Is(failed, errBroken) {
			t.Fatalf("%q: outcomes say %v, encoding/json says %v", answer, failed, err)
		}
		for i, o := range out {
			stored := len(slow[i].code) == 0 && len(slow[i].sequence) > 0 && len(slow[i].shard) > 0
			if o.ID != recs[i].ID || (o.Fate == record.Acked) != stored || stored != (o.Code == "" && o.Err == nil) || stored && o.Shard != string(slow[i].shard) {
				t.Errorf("%q: %s became %+v", answer, seen(slow)[i], o)
			}
		}
	})
}

// answers of services and of others, with what is to be read from them.
var answers = []struct {
	answer string
	plain  bool
	want   []string // nil: broken
}{
	{`{"EncryptionType":"KMS","FailedRecordCount":0,"Records":[{"SequenceNumber":"49","ShardId":"s-0"},{"ShardId":"s-1","SequenceNumber":"50"}]}`, true,
		[]string{`"49" "s-0" "" ""`, `"50" "s-1" "" ""`}},
	{`{"FailedRecordCount":1,"Records":[{"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure."},{"SequenceNumber":"50","ShardId":"s-1","ErrorCode":null,"ErrorMessage":null}]}`, true,
		[]string{`"" "" "InternalFailure" "Internal service failure."`, `"50" "s-1" "" ""`}},
	{`{"Records":[{"SequenceNumber":"49","ShardId":"s-0","EncryptionType":"NONE"}],"FailedRecordCount":null,"New":12,"Old":true}`, true, []string{`"49" "s-0" "" ""`}},
	{`{"Records":[{"SequenceNumber":"49","SequenceNumber":null,"ShardId":"s-0"},{}]}`, true, []string{`"" "s-0" "" ""`, `"" "" "" ""`}},
	{`{"Records":[{"SequenceNumber":"49570001","ShardId":"s-0"},{"SequenceNumber":"49570002","ShardId":"s-1"},{"SequenceNumber":"49570003","ShardId":"s-1","EncryptionType":"NONE"}]}`, true,
		[]string{`"49570001" "s-0" "" ""`, `"49570002" "s-1" "" ""`, `"49570003" "s-1" "" ""`}},
	{`{"Records":[{"SequenceNumber":"49570001","ShardId":"s-0"},{"SequenceNumber":"4957000","ShardId":"s-0"},{"SequenceNumber":"4957000x","ShardId":"s-0"}]}`, true,
		[]string{`"49570001" "s-0" "" ""`, `"4957000" "s-0" "" ""`, `"4957000x" "s-0" "" ""`}},
	{`{"Records":[{"SequenceNumber":"49570001","ShardId":"s-0"},{"SequenceNumber":"495700\\","ShardId":"s-0"}]}`, false, []string{`"49570001" "s-0" "" ""`, `"495700\\" "s-0" "" ""`}},
	{`{"Records":[{"SequenceNumber":"49570001","ShardId":"s-0"},{"SequenceNumber":"4957\u00","ShardId":"s-0"}]}`, false, nil},
	{`{"Records":[]}`, true, []string{}},
	{`{"FailedRecordCount": 0, "Records": [{"SequenceNumber": "49", "ShardId": "s-0"}]}`, false, []string{`"49" "s-0" "" ""`}},
	{"{\n\"Records\":[null,{\"SequenceNumber\":\"4\\u0039\",\"ShardId\":\"s-0\",\"x\":{\"SequenceNumber\":[\"1\"]}}]}\n", false, []string{`"" "" "" ""`, `"49" "s-0" "" ""`}},
	{`{"Records":[{"ErrorCode":"é\"","ErrorMessage":"a\\b"}]}`, false, []string{`"" "" "\u00e9\"" "a\\b"`}},
	{`{"Records":[{"SequenceNumber":"1","ShardId":"s"}],"Records":[]}`, false, []string{}},
	{`{"Records":null}`, false, []string{}},
	{`{"records":[{"SequenceNumber":"49","ShardId":"s-0"}]}`, false, nil},
	{`{"Records":[{"SequenceNumber":49,"ShardId":"s-0"}]}`, false, nil},
	{`{"Records":[{"SequenceNumber":["49"],"ShardId":"s-0"}]}`, false, nil},
	{`{"Records":{"SequenceNumber":"49","ShardId":"s-0"}}`, false, nil},
	{`{"Records":["49"]}`, false, nil},
	{`{"Records":[{"SequenceNumber":"49","ShardId":"s-0"},]}`, false, nil},
	{`{"Records":[{"SequenceNumber":"49","ShardId":"s-0"}]}{}`, false, nil},
	{`{"Records":[{"SequenceNumber":"49","ShardId":"s-0"}]`, false, nil},
	{`{"Records":[{"SequenceNumber":"49","ShardId":"s-`, false, nil},
	{`{"FailedRecordCount":01,"Records":[]}`, false, nil},
	{`{"__type":"InternalFailure","message":"sorry"}`, false, nil},
	{"{\"Records\":[{\"ErrorCode\":\"a\x01b\"}]}", false, nil},
	{"{\"Records\":[{\"ErrorCode\":\"seven bytes before the end \n\"}]}", false, nil},
	{"{\"Records\":[{\"ErrorCode\":\"\xff\"}]}", false, []string{`"" "" "\ufffd" ""`}},
	{`[]`, false, nil},
	{`null`, false, nil},
	{``, false, nil},
	{`<html>`, false, nil},
	{strings.Repeat(`{"Records":[`, 20_000), false, nil},
	{`{"a":` + strings.Repeat(`[`, 20_000), false, nil},
}

func TestAnswersAreRead(t *testing.T) {
	for _, a := range answers {
		entries, plain := scan([]byte(a.answer), nil)
		if plain != a.plain {
			t.Errorf("%.90q: plain %t, want %t", a.answer, plain, a.plain)
		}
		if !plain {
			var err error
			if entries, err = decode([]byte(a.answer), nil); (err != nil) != (a.want == nil) {
				t.Errorf("%.90q: got %v, want it broken: %t", a.answer, err, a.want == nil)
			}
		}
		if a.want != nil && strings.Join(seen(entries), "\n") != strings.Join(a.want, "\n") {
			t.Errorf("%.90q: got %v, want %v", a.answer, seen(entries), a.want)
		}
	}
}

// What Kinesis writes is never left to encoding/json, whatever it says; and a
// reader that is used again knows nothing of the answer before.
func TestServiceAnswersAreScanned(t *testing.T) {
	r := readers.New().(*answerReader)
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.IntRange(-3, 40), 1, 20).Draw(t, "shards, or failures")
		var texts []string
		recs := make([]record.Record, len(ids))
		for i, id := range ids {
			recs[i].ID.Event = uint32(i)
			switch {
			case id >= 0:
				texts = append(texts, fmt.Sprintf(`{"SequenceNumber":"4957%052d","ShardId":"shardId-%012d"}`, i, id))
			case id == -1:
				texts = append(texts, `{"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure."}`)
			default:
				texts = append(texts, fmt.Sprintf(`{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"Rate exceeded for shard %d."}`, id))
			}
		}
		r.text = []byte(`{"EncryptionType":"NONE","FailedRecordCount":1,"Records":[` + strings.Join(texts, ",") + `]}`)
		if _, plain := scan(r.text, nil); !plain {
			t.Fatalf("not scanned: %s", r.text)
		}
		out, err := r.outcomes(recs, JSON)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			want := record.Outcome{ID: recs[i].ID, Fate: record.Acked, Shard: fmt.Sprintf("shardId-%012d", ids[i])}
			text := ""
			switch {
			case ids[i] == -1:
				want = record.Outcome{ID: recs[i].ID, Fate: record.Unknown, Code: "InternalFailure"}
				text = "Internal service failure."
			case ids[i] < 0:
				want = record.Outcome{ID: recs[i].ID, Fate: record.Refused, Code: "ProvisionedThroughputExceededException"}
				text = fmt.Sprintf("Rate exceeded for shard %d.", ids[i])
			}
			if text != "" && (o.Err == nil || o.Err.Error() != text) {
				t.Fatalf("record %d: %v, want %q", i, o.Err, text)
			}
			if o.Err = nil; o != want {
				t.Fatalf("record %d: got %+v, want %+v", i, o, want)
			}
		}
		recycle(out) // to be written over by the next
	})
}

// An answer in which a byte is another one, or is not there, is read as
// encoding/json reads it, or left to that; and so is a part of one.
func TestDamagedAnswersAreRead(t *testing.T) {
	answer := `{"Records":[{"SequenceNumber":"495700001","ShardId":"s-0"},{"SequenceNumber":"495700002","ShardId":"s-0"}]}`
	for text := range damaged([]byte(answer)) {
		quick, plain := scan(text, nil)
		if !plain {
			continue
		}
		if slow, err := decode(text, nil); err != nil || !cmp.Equal(told(quick), told(slow)) {
			t.Errorf("%q: scanned %v, encoding/json says %v, %v", text, seen(quick), seen(slow), err)
		}
	}
}

// damaged are text with any byte in the place of one, without one, and cut off.
func damaged(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range text {
			for by := range 256 {
				if !yield(slices.Concat(text[:i], []byte{byte(by)}, text[i+1:])) {
					return
				}
			}
			if !yield(slices.Delete(slices.Clone(text), i, i+1)) || !yield(text[:i:i]) {
				return
			}
		}
	}
}

// No text of an answer is kept without end.
func TestReaderForgets(t *testing.T) {
	r := read("")
	for i := range 3 * maxNames {
		e := entry{sequence: []byte("1"), shard: fmt.Appendf(nil, "shard-%d", i)}
		r.judge(new(record.Outcome), &e)
		e = entry{code: fmt.Appendf(nil, "code-%d", i), message: fmt.Appendf(nil, "message-%d", i)}
		r.judge(new(record.Outcome), &e)
	}
	long := entry{code: make([]byte, maxText+1)}
	r.judge(new(record.Outcome), &long)
	if _, kept := r.names[string(long.code)]; kept || len(r.names) > maxNames || len(r.errs) > maxNames {
		t.Errorf("%d names and %d errors are kept, want at most %d and no long one", len(r.names), len(r.errs), maxNames)
	}
}

// A full answer costs the outcomes and nothing else.
func TestAnswerAllocatesOnce(t *testing.T) {
	recs := make([]record.Record, 500)
	r := read(`{"FailedRecordCount":0,"Records":[` + strings.TrimSuffix(strings.Repeat(`{"SequenceNumber":"49","ShardId":"s-0"},`, 500), ",") + `]}`)
	if n := testing.AllocsPerRun(20, func() {
		if _, err := r.outcomes(recs, JSON); err != nil {
			t.Error(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}
