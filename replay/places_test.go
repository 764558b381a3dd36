package replay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/account"
	"kreplay/pkg/local"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/report"
	"kreplay/replay"
	"kreplay/scenarios"
)

// A lake that is partitioned by the hour in a zone, by what is the same for all
// users and by what is not.
var keyed = []string{
	"stages.raw.path=lake", "stages.raw.time_zone=Asia/Kathmandu", "stages.raw.keys.type=log_type", "stages.raw.keys.user=user_id",
	"stages.raw.partition=type=!{partitionKeyFromQuery:type}/hour=!{timestamp:yyyy-MM-dd'T'HH}/user=!{partitionKeyFromLambda:user}/!{firehose:random-string}/",
}

func asKeyed(c *local.Config) {
	zone, err := time.LoadLocation("Asia/Kathmandu")
	if err != nil {
		panic(err)
	}
	c.Prefix = strings.TrimPrefix(keyed[4], "stages.raw.partition=")
	c.TimeZone, c.Keys = zone, map[string]string{"type": "log_type", "user": "user_id"}
}

// Law 6, of places: a partitioned run lies where it belongs, and of objects that are
// put into the folders of other values or of another time exactly the rows are misplaced.
func TestPlantedMisplacedIsReported(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 9))
		l := playIn(t, "", alike(t, 3, keyed...), func(c *local.Config) {
			asKeyed(c)
			c.Compression = "none"
			c.Faults.Seed, c.Faults.Drop, c.Faults.Duplicate, c.Faults.Corrupt = seed, rng.IntN(3), rng.IntN(3), rng.IntN(3)
		})
		lake := filepath.Join(filepath.Dir(l.dir), "lake")
		if raw := l.res.Stages[0]; raw.Misplaced != 0 || !raw.Partitioned || (raw.Folders == 0 && raw.Tally.Missing == 0) {
			t.Fatalf("seed %d: %d misplaced before anything was moved, %d folders listed: %v", seed, raw.Misplaced, raw.Folders, l.res.Samples)
		}
		want, moved := map[string]int{}, 0
		keys := rawKeys(t, lake)
		for i, key := range keys {
			if rng.IntN(4) > 0 || i == len(keys)-1 {
				continue
			}
			moved++
			parts := strings.Split(key, "/")
			switch rng.IntN(4) {
			case 0:
				parts[0] = "type=another"
			case 1:
				parts[1] = "hour=2020-01-01T00"
			case 2:
				parts[2] += "0"
			default: // among the rows of other values
				parts = strings.Split(keys[len(keys)-1], "/")
			}
			to := strings.Join(parts, "/")
			want[to] += moveRows(t, lake, key, to)
		}
		res, err := replay.Verify(t.Context(), replay.VerifyConfig{Dir: l.dir, Quiet: time.Nanosecond, Max: time.Second, Samples: 1 << 20, Afresh: true, Everywhere: true})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, d := range res.Samples {
			if d.Kind != account.KindMisplaced {
				continue
			}
			rows++
			if want[d.Object] == 0 {
				t.Errorf("seed %d: %s %s is misplaced: %s", seed, d.Object, d.ID, d.Detail)
			}
			byTime := strings.Contains(d.Object, "hour=2020")
			switch {
			case byTime && !strings.Contains(d.Detail, "no folder of "), !byTime && !strings.Contains(d.Detail, `want "`):
				t.Errorf("seed %d: %s: %s", seed, d.Object, d.Detail)
			}
		}
		lines := 0
		for _, n := range want {
			lines += n
		}
		if raw := res.Stages[0]; rows != lines || raw.Misplaced != uint64(rows) || moved > 0 && rows == 0 || raw.Tally.States != l.res.Stages[0].Tally.States {
			t.Errorf("seed %d: %d misplaced of %d rows in %d objects that were moved; %+v, before %+v", seed, rows, lines, moved, raw.Tally.States, l.res.Stages[0].Tally.States)
		}
		proofs, err := replay.SelfTest(t.Context(), replay.SelfTestConfig{Dir: l.dir, Seed: seed, Faults: 5})
		if err != nil || proofs[0].Verdict() != report.Pass {
			t.Errorf("seed %d: %+v, %v", seed, proofs, err)
		}
	}
}

// rawKeys are the keys of a lake's objects, less those of error records.
func rawKeys(t *testing.T, lake string) (keys []string) {
	t.Helper()
	store, err := dir.Open(lake)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	for info, err := range store.List(t.Context(), "type=") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// moveRows puts the rows of an object, one a line, behind those of another one, or
// where there is none, and says how many they are.
func moveRows(t *testing.T, lake, from, to string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(lake, from))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(filepath.Join(lake, to)), 0o755)
	}
	there, _ := os.ReadFile(filepath.Join(lake, to))
	if err == nil {
		err = os.WriteFile(filepath.Join(lake, to), append(there, text...), 0o600)
	}
	if err == nil {
		err = os.Remove(filepath.Join(lake, from))
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// Folders before the first value that nobody knows beforehand bound the listing; a
// few known values do too.
func TestKeysBoundTheListing(t *testing.T) {
	for _, test := range []struct{ partition, key, field, want string }{
		{"dt=!{timestamp:yyyy-MM-dd}/u=!{partitionKeyFromQuery:k}/", "k", "user_id", "dt=2006-01-02/u="},
		{"u=!{partitionKeyFromQuery:k}/dt=!{timestamp:yyyy-MM-dd}/", "k", "user_id", ""},
		{"t=!{partitionKeyFromQuery:k}/dt=!{timestamp:yyyy-MM-dd}/", "k", "log_type", "t=login/dt=2006-01-02/"},
		{"t=!{partitionKeyFromQuery:k}/dt=!{timestamp:yyyy-MM-dd}/", "k", "country", ""}, // not all records have one
	} {
		p := pushAcked(t, 2, "stages.raw.path=x", "stages.raw.partition="+test.partition, "stages.raw.keys."+test.key+"="+test.field, "expect.delivery.misplaced=1000")
		raw := p.half(0)
		if _, err := p.in(t, time.Minute, replay.VerifyConfig{Quiet: time.Second, Max: time.Minute, Everywhere: false}, raw, &scripted{}); err != nil {
			t.Fatal(err)
		}
		want := p.ended.UTC().Format(test.want)
		if test.field == "log_type" {
			want = "t=login/dt=" + p.ended.UTC().Format("2006-01-02") + "/"
		}
		if first := raw.lists[:min(len(raw.lists), 40)]; !slices.Contains(first, want) || slices.Contains(raw.lists[:1], "") != (want == "") {
			t.Errorf("%s by %s: listed %q, want %q", test.partition, test.field, raw.lists, want)
		}
	}
}

// A key's field is one that records have.
func TestAKeyOfNoFieldIsRefused(t *testing.T) {
	_, err := replay.Check(scenarios.FS, "smoke", []string{"stages.raw.path=x", "stages.raw.partition=k=!{partitionKeyFromQuery:k}/", "stages.raw.keys.k=contry"})
	if want := `--set:3:19: keys: no record has a field "contry": did you mean "country"?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if job, err := replay.Check(scenarios.FS, "smoke", []string{"stages.raw.path=x", "stages.raw.partition=k=!{partitionKeyFromQuery:k}/", "stages.raw.keys.k=device.os"}); err != nil {
		t.Errorf("a nested field: %v", err)
	} else if got := fmt.Sprint(job.Scenario.Stages[0].Unnamed()); got != "[]" {
		t.Errorf("unnamed keys %s, want none", got)
	}
}
