package local_test

import (
	"encoding/json"
	"strings"
	"testing"

	"kreplay/pkg/local"
)

// A rejected record is in one error record, byte for byte, below the error
// prefix, and nowhere else; the others are delivered.
func TestRejectedRecordsAreInErrorRecords(t *testing.T) {
	for prefix, below := range map[string]string{"": "errors/processing-failed/2", "bad/!{firehose:error-output-type}/": "bad/processing-failed/events-1-2"} {
		dir := t.TempDir()
		p := start(t, local.Config{
			Lake: dir, Prefix: "raw/", ErrorPrefix: prefix, Delimiter: "\n", BufferBytes: 2000,
			Faults: local.Faults{Seed: 3, Of: 300, Reject: 20, Drop: 5},
		})
		put(t, client(t, p, "AKID"), 0, 300)
		flush(t, p)
		rejected := map[string]int{}
		delivered := 0
		for key, object := range lake(t, dir) {
			if strings.HasPrefix(key, "raw/") {
				delivered += strings.Count(object, "\n")
				continue
			}
			if !strings.HasPrefix(key, below) {
				t.Errorf("error record in %s, want it below %s", key, below)
			}
			for line := range strings.Lines(object) {
				var r struct {
					ErrorCode string
					RawData   []byte
				}
				if err := json.Unmarshal([]byte(line), &r); err != nil || r.ErrorCode != local.RejectedCode {
					t.Fatalf("%s: %v, code %q", line, err, r.ErrorCode)
				}
				rejected[key+" "+string(r.RawData)]++
			}
		}
		planted := 0
		for _, f := range p.Planted() {
			if f.Kind != local.Rejected {
				continue
			}
			if planted++; rejected[f.Object+" "+string(f.Data)] != 1 {
				t.Errorf("%s is planted in %s, and %d times there", f.Data, f.Object, rejected[f.Object+" "+string(f.Data)])
			}
		}
		if planted != 20 || len(rejected) != 20 || delivered != 275 {
			t.Errorf("%d planted, %d error records, %d delivered, want 20, 20, 275", planted, len(rejected), delivered)
		}
	}
	if _, err := local.Start(t.Context(), listen(t), local.Config{Lake: t.TempDir(), ErrorPrefix: "x/!{partitionKeyFromQuery:a}"}); err == nil || !strings.Contains(err.Error(), "error prefix") {
		t.Errorf("an error prefix that cannot be: %v", err)
	}
}
