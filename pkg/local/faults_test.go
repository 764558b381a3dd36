package local_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/local"
)

// What Planted lists is what the lake shows, and what was asked for.
func TestPlantedFaultsAreExact(t *testing.T) {
	for _, gz := range []bool{false, true} {
		for seed := range uint64(4) {
			dir := t.TempDir()
			p := start(t, local.Config{
				Lake: dir, Compression: map[bool]string{true: "gzip"}[gz], Delimiter: "\n", BufferBytes: 9000,
				Faults: local.Faults{Seed: seed, Of: 2000, Drop: 20, Duplicate: 30, Corrupt: 40, Truncate: 3},
			})
			put(t, client(t, p, "AKID"), 0, 2000)
			flush(t, p)
			want, kinds := map[string]int{}, map[string]int{}
			for i := range 2000 {
				want[text(i)] = 1
			}
			for _, f := range p.Planted() {
				kinds[f.Kind]++
				switch f.Kind {
				case local.Dropped, local.Corrupted, local.Cut:
					want[string(f.Data)]--
				case local.Duplicated:
					want[string(f.Data)]++
				}
			}
			if kinds[local.Dropped] != 20 || kinds[local.Duplicated] != 30 || kinds[local.Corrupted] != 40 || kinds[local.Truncated] != 3 || kinds[local.Cut] < 3 {
				t.Errorf("gzip %v, seed %d: planted %v", gz, seed, kinds)
			}
			for _, f := range p.Planted() {
				if f.Kind == local.Truncated && gz && readable(t, dir, f.Object) {
					t.Errorf("seed %d: %s is truncated and shows no damage", seed, f.Object)
				}
			}
			got := rows(lake(t, dir))
			strange := 0
			for row, n := range got {
				if _, ours := want[row]; !ours {
					strange += n
					continue
				}
				if n != want[row] {
					t.Errorf("gzip %v, seed %d: %s delivered %d times, want %d", gz, seed, row, n, want[row])
				}
			}
			for row, n := range want {
				if n > 0 && got[row] == 0 {
					t.Errorf("gzip %v, seed %d: %s is missing and not planted", gz, seed, row)
				}
			}
			if strange < 40 || strange > 43 { // corrupted rows, and a torn one an object
				t.Errorf("gzip %v, seed %d: %d rows of other text, want 40 and at most 3 torn", gz, seed, strange)
			}
		}
	}
}

// A lost answer means stored: every record of a failed call is listed and delivered.
func TestLostAnswersAreStored(t *testing.T) {
	for _, mode := range []string{local.LostError, local.LostReset} {
		dir := t.TempDir()
		p := start(t, local.Config{Lake: dir, Delimiter: "\n", Faults: local.Faults{LostEvery: 4, LostMode: mode}})
		c := client(t, p, "AKID")
		if failed := put(t, c, 0, 1100); failed != 2 {
			t.Errorf("%s: %d calls failed, want 2", mode, failed)
		}
		_, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: entries(1100, 1200)})
		if reset := errors.Is(err, syscall.ECONNRESET); reset != (mode == local.LostReset) || !reset && code(err) != "InternalFailure" {
			t.Errorf("%s: lost answer shows as %v", mode, err)
		}
		flush(t, p)
		if n := len(p.Planted()); n != 300 {
			t.Errorf("%s: %d records planted, want 300", mode, n)
		}
		if n := len(rows(lake(t, dir))); n != 1200 {
			t.Errorf("%s: %d delivered, want 1200", mode, n)
		}
	}
}

// As many entries are throttled as asked for, and those listed are the ones refused.
func TestThrottleFaultsAreExact(t *testing.T) {
	p := start(t, local.Config{Faults: local.Faults{Seed: 7, Of: 200, Throttle: 17}})
	c := client(t, p, "AKID")
	var refused []string
	for from := 0; from < 200; from += 50 {
		out, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: entries(from, from+50)})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				refused = append(refused, text(from+i))
			}
		}
	}
	planted := p.Planted()
	if len(refused) != 17 || len(planted) != 17 {
		t.Fatalf("%d refused, %d planted, want 17", len(refused), len(planted))
	}
	for i, f := range planted {
		if f.Kind != local.Throttled || string(f.Data) != refused[i] {
			t.Errorf("planted %d: %s %s, want %s", i, f.Kind, f.Data, refused[i])
		}
	}
}

// Pick and Mutate are the caller's; a record that cannot change passes its turn on.
func TestPickAndMutate(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, Delimiter: "\n", Faults: local.Faults{
		Pick: func(i int, _ []byte) string {
			if i == 3 || i == 5 {
				return local.Corrupted
			}
			return ""
		},
		Mutate: func(data []byte) []byte {
			if strings.Contains(string(data), `"n":3}`) {
				return nil
			}
			return []byte(`{"other":1}`)
		},
	}})
	put(t, client(t, p, "AKID"), 0, 10)
	flush(t, p)
	planted := p.Planted()
	if len(planted) != 2 || string(planted[0].Data) != text(4) || string(planted[1].Data) != text(5) {
		t.Errorf("planted %s, want records 4 and 5", planted)
	}
	if got := rows(lake(t, dir)); got[`{"other":1}`] != 2 || got[text(4)] != 0 || got[text(3)] != 1 {
		t.Errorf("rows %v", got)
	}
}

// A corruption changes one letter of one string value, neither a name nor hex nor an escape.
func TestCorruptLetterKeepsStructureAndIdentity(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	const data = `{"type":"view","id":"00aa11ff-dead-beef","esc":"\n\u006eA\"x","list":["go",{"key" : "NO"}],"n":12,"t":true,"null":null}`
	for range 500 {
		got := local.CorruptLetter(dice, []byte(data))
		var v struct {
			Type, ID, Esc string
			List          []any
			N             int
			T             bool
			Null          any
		}
		if err := json.Unmarshal(got, &v); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		differ := 0
		for i := range got {
			if got[i] != data[i] {
				differ++
			}
		}
		if differ != 1 || v.ID != "00aa11ff-dead-beef" || v.N != 12 || !v.T || v.Esc[:4] != "\nnA\"" || len(v.List) != 2 || len(v.Type) != 4 {
			t.Fatalf("corrupted to %s", got)
		}
	}
	for _, bare := range []string{``, `{"key":"00aa"}`, `{"key":1}`, `"`, `"\`, `{"key":"\u`, `{"k":true}`} {
		if got := local.CorruptLetter(dice, []byte(bare)); got != nil {
			t.Errorf("%s corrupted to %s", bare, got)
		}
	}
}

// A configuration that cannot be carried out is refused with all its faults.
func TestStartRefusesBadConfig(t *testing.T) {
	_, err := local.Start(t.Context(), listen(t), local.Config{
		Streams: []local.StreamSpec{{Name: "a b", Shards: 1}, {Name: "a"}}, Delimiter: ";", Prefix: "../!{firehose:random-string}",
		Faults: local.Faults{Drop: 3, Of: 2, LostEvery: 1, LostMode: "never"},
	})
	for _, want := range []string{`"a b"`, "0 shards", "delimiter", "prefix", "too many", "need a lake", "ever arrive", "lost mode"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

// A cut goes through a text, so that its damage shows; the newline that records bring along is no text.
func TestCutGoesThroughText(t *testing.T) {
	for _, delimiter := range []string{"", "\n"} {
		for size := 9; size < 29; size++ {
			dir := t.TempDir()
			p := start(t, local.Config{Lake: dir, Delimiter: delimiter, Faults: local.Faults{Of: 10, Truncate: 1}})
			data := []byte(`{"a":"` + strings.Repeat("x", size-9) + `"}` + "\n")
			in := &kinesis.PutRecordsInput{StreamName: aws.String(streamName)}
			for range 10 {
				in.Records = append(in.Records, types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String("k")})
			}
			if _, err := client(t, p, "AKID").PutRecords(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			flush(t, p)
			for key, object := range lake(t, dir) {
				if strings.HasSuffix(strings.TrimSpace(object), "}") {
					t.Errorf("records of %d bytes, delimiter %q: %s ends in a whole record: %q", size, delimiter, key, object)
				}
			}
		}
	}
}
