package local_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"kreplay/pkg/local"
)

const allFaults = "drop=7,duplicate=5, corrupt=3,reject=4,delay=6:90s,misplace=2,truncate=1,throttle=100,lost=2%,reset=1.5%,failure=0.25%,failure-stored=0.5," +
	"latency=5ms,jitter=2ms,lose=body:3,late=30s:1@10,refuse=KMSThrottlingException:4@2"

// Each fault that can be written is read, and nothing else of Faults is touched.
func TestParseFaults(t *testing.T) {
	got, err := local.ParseFaults(allFaults)
	want := local.Faults{
		Drop: 7, Duplicate: 5, Corrupt: 3, Reject: 4, Delay: 6, DelayBy: 90 * time.Second, Misplace: 2, Truncate: 1, Throttle: 100,
		LostPercent: 2, ResetPercent: 1.5, FailPercent: 0.25, FailStoredPercent: 0.5, Latency: 5 * time.Millisecond, Jitter: 2 * time.Millisecond,
		Calls: []local.CallFault{
			{Way: local.LostBody, Calls: 3}, {Way: local.Late, Delay: 30 * time.Second, Calls: 1, After: 10},
			{Way: local.Refused, Code: "KMSThrottlingException", Calls: 4, After: 2},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v, want %+v", got, err, want)
	}
	if got, err := local.ParseFaults(""); err != nil || !reflect.DeepEqual(got, local.Faults{}) {
		t.Errorf("nothing reads as %+v, %v", got, err)
	}
	if got, err := local.ParseFaults("delay=3"); err != nil || got.Delay != 3 || got.DelayBy != 0 {
		t.Errorf("delay=3 reads as %+v, %v", got, err)
	}
	const bad = "drop=-1,delay=-1,delay=1:,delay=1:0s,delay=1:-1s,delay=:1s,lost=101%,failure=NaN,latency=-1s,latency=5,lose=late:1,lose=500,late=0s:1,late=x:1,refuse=:1,refuse=X:0,refuse=X:1@-1,refuse=X:1@,none=1,"
	_, err = local.ParseFaults(bad)
	for part := range strings.SplitSeq(bad, ",") {
		if err == nil || !strings.Contains(err.Error(), `"`+part+`": want`) {
			t.Errorf("%q is not named in %v", part, err)
		}
	}
}

// What is read of faults, a pipeline that expects enough can carry out, unless shares leave nothing to succeed.
func FuzzParseFaults(f *testing.F) {
	for _, s := range []string{"", allFaults, "lost=60%,reset=50%", "refuse=a=b:1", "throttle=1,", "late=1h:1@9999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		faults, err := local.ParseFaults(text)
		if err != nil || faults.LostPercent+faults.ResetPercent >= 100 || faults.FailPercent+faults.FailStoredPercent >= 100 {
			return
		}
		sum := faults.Drop + faults.Duplicate + faults.Corrupt + faults.Reject + faults.Delay + faults.Misplace + faults.Truncate*2 + faults.Throttle
		if max(sum, faults.Drop, faults.Duplicate, faults.Corrupt, faults.Reject, faults.Delay, faults.Misplace, faults.Truncate, faults.Throttle) > 1e6 || sum < 0 {
			return // positions are drawn one by one
		}
		faults.Of = sum
		p, err := local.Start(t.Context(), listen(t), local.Config{Lake: t.TempDir(), Faults: faults})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		_ = p.Close()
	})
}
