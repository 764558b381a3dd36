package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// However the workers are told apart, they are n different ones of n that agree
// on the run, the anchor and the start.
func TestMembersAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.Uint64Range(2, 300).Draw(t, "of")
		how := rapid.SampledFrom([]string{"batch", "kubernetes", "kubernetes with /n", "flags", "batch and flags"}).Draw(t, "how")
		anchor := time.Unix(rapid.Int64Range(1, 1<<32).Draw(t, "anchor"), 0).UTC()
		attempt := rapid.IntRange(1, 10).Draw(t, "attempt")
		seen := map[uint64]bool{}
		for i := range of {
			env := map[string]string{EnvAnchor: anchor.Format(time.RFC3339), EnvStart: "2026-11-25T18:00:00Z"}
			var f Flags
			want := Member{Index: i + 1, Of: of, Attempt: 1, Run: "r", Anchor: anchor, StartAt: time.Date(2026, 11, 25, 18, 0, 0, 0, time.UTC)}
			zero := strconv.FormatUint(i, 10)
			switch how {
			case "batch", "batch and flags":
				env[BatchIndex], env[BatchSize] = zero, strconv.FormatUint(of, 10)
				env[BatchJob], env[BatchAttempt] = "1f2e-parent:"+zero, strconv.Itoa(attempt)
				want.Run, want.Attempt = "1f2e-parent", attempt
				if how == "batch and flags" {
					f.Worker, f.Run = fmt.Sprintf("%d/%d", i+1, of), "r"
					want.Run = "r"
				}
			case "kubernetes":
				env[KubeIndex], env[EnvRun], f.Workers = zero, "r", of
			case "kubernetes with /n":
				env[KubeIndex], env[EnvRun], f.Worker = zero, "r", fmt.Sprintf("/%d", of)
			case "flags":
				f.Worker, f.Run = fmt.Sprintf("%d/%d", i+1, of), "r"
			}
			got, err := Who(f, lookup(env))
			if err != nil || got != want {
				t.Fatalf("%s, worker %d of %d: %+v, %v; want %+v", how, i+1, of, got, err, want)
			}
			seen[got.Index] = true
		}
		if uint64(len(seen)) != of {
			t.Errorf("%d different workers of %d", len(seen), of)
		}
	})
}

// A process that nobody says anything about is alone; so is one in an array of one.
func TestAlone(t *testing.T) {
	for _, f := range []Flags{{}, {Workers: 1}, {Worker: "1/1"}, {Worker: "/1"}} {
		if got, err := Who(f, lookup(nil)); err != nil || got != (Member{Index: 1, Of: 1, Attempt: 1}) {
			t.Errorf("%+v: %+v, %v; want 1 of 1", f, got, err)
		}
	}
	got, err := Who(Flags{}, lookup(map[string]string{BatchJob: "1f2e", BatchAttempt: "2"}))
	if want := (Member{Index: 1, Of: 1, Attempt: 2, Run: "1f2e"}); err != nil || got != want {
		t.Errorf("a Batch job that is no array: %+v, %v; want %+v", got, err, want)
	}
}

// What contradicts itself or is nonsense is said, with where it stands.
func TestNonsenseIsAnError(t *testing.T) {
	for _, tc := range []struct {
		flags Flags
		env   map[string]string
		want  string
	}{
		{Flags{Worker: "2"}, nil, `--worker "2": want i/n`},
		{Flags{Worker: "0/4", Run: "r"}, nil, `--worker "0/4": want i/n`},
		{Flags{Worker: "5/4", Run: "r"}, nil, `--worker "5/4": want i/n`},
		{Flags{Worker: "1/0"}, nil, `--worker "1/0": want i/n`},
		{Flags{Worker: "/0"}, nil, `--worker "/0": want i/n`},
		{Flags{Worker: "a/b"}, nil, `--worker "a/b": want i/n`},
		{Flags{Worker: "1/4"}, nil, "workers need one run id"},
		{Flags{Workers: 4, Run: "r"}, nil, "nothing says which of the 4 workers this is"},
		{Flags{Worker: "/4", Run: "r"}, nil, "nothing says which of the 4 workers this is"},
		{Flags{Worker: "1/4", Workers: 5, Run: "r"}, nil, "--worker 1/4 says worker 1 of 4 (counted from 1), but --workers says 5 workers"},
		{Flags{Worker: "1/4", Run: "r"}, map[string]string{BatchIndex: "1", BatchSize: "4"}, "but AWS_BATCH_JOB_ARRAY_INDEX=1 says worker 2"},
		{Flags{Run: "r"}, map[string]string{BatchIndex: "1", BatchSize: "4", KubeIndex: "2"}, "which of them is this worker?"},
		{Flags{Run: "r"}, map[string]string{KubeIndex: "0"}, "nothing says of how many: pass --workers N"},
		{Flags{Run: "r"}, map[string]string{BatchIndex: "4", BatchSize: "4"}, "there is no worker 5 of 4"},
		{Flags{Run: "r"}, map[string]string{BatchIndex: "-1", BatchSize: "4"}, `AWS_BATCH_JOB_ARRAY_INDEX="-1": want a number from 0`},
		{Flags{Run: "r"}, map[string]string{BatchIndex: "0", BatchSize: "0"}, "AWS_BATCH_JOB_ARRAY_SIZE=0"},
		{Flags{}, map[string]string{BatchAttempt: "0"}, "AWS_BATCH_JOB_ATTEMPT=0"},
		{Flags{}, map[string]string{BatchIndex: "1", BatchSize: "4", BatchJob: "p:2"}, "not the child that it says it is"},
		{Flags{Anchor: "yesterday"}, nil, `--anchor "yesterday": want RFC 3339`},
		{Flags{}, map[string]string{EnvStart: "18:00"}, `KREPLAY_START_AT "18:00": want RFC 3339`},
	} {
		_, err := Who(tc.flags, lookup(tc.env))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v, %v: %v; want %q", tc.flags, tc.env, err, tc.want)
		}
	}
	_, err := Who(Flags{Anchor: "x", StartAt: "y"}, lookup(map[string]string{BatchAttempt: "z"}))
	if n := strings.Count(fmt.Sprint(err), "want "); n != 3 {
		t.Errorf("%d of 3 faults at once: %v", n, err)
	}
}

// Workers that start at once describe the stream one by one, four a second at
// most unless they are so many that the last would wait too long.
func TestDescribeTakesTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.Uint64Range(2, 10_000).Draw(t, "of")
		i := rapid.Uint64Range(2, of).Draw(t, "i")
		gap := Member{Index: i, Of: of}.Describe() - Member{Index: i - 1, Of: of}.Describe()
		if gap <= 0 || of <= 480 && gap != 250*time.Millisecond {
			t.Errorf("workers %d and %d of %d describe %v apart", i-1, i, of, gap)
		}
		if last := (Member{Index: of, Of: of}).Describe(); last > 2*time.Minute {
			t.Errorf("worker %d waits %v", of, last)
		}
	})
	if d := (Member{Index: 1, Of: 1}).Describe(); d != 0 {
		t.Errorf("one alone waits %v", d)
	}
}
