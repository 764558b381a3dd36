package scenario

import (
	"strings"
	"testing"
	"time"
)

// A limit may change with time; what it is at a time is what was written.
func TestLimitsThatChangeWithTime(t *testing.T) {
	for _, c := range []struct {
		text string
		at   time.Duration
		want float64
	}{
		{"40k/s", time.Hour, 40e3},
		{"40 k/s", time.Hour, 40e3},
		{"ramp 0/s to 40k/s over 10m", 5 * time.Minute, 20e3},
		{"ramp 1k/s to 2k/s over 1m", time.Hour, 2e3},
		{"steps 1k/s, 2k/s,3k/s every 1m", 90 * time.Second, 2e3},
		{"steps 1k/s, 2k/s, 3k/s every 1m", time.Hour, 3e3},
		{"sine 1k/s to 3k/s every 4m", time.Minute, 3e3},
		{"burst 1k/s to 9k/s for 10s every 1m", 65 * time.Second, 9e3},
		{"burst 1k/s to 9k/s for 10s every 1m", 30 * time.Second, 1e3},
		{"file:rate.txt", 30 * time.Second, 1500},
	} {
		s, err := loadWith(map[string]string{"rate.txt": "0s 1000\n1m 2000\n"}, minimal, "stream.limits.rate="+c.text)
		if err != nil {
			t.Fatal(err)
		}
		records, bytes := s.Stream.Limits.Ceilings()
		if got := records.Rate(c.at); got < c.want*0.999 || got > c.want*1.001 || bytes != nil {
			t.Errorf("%s at %v: %v, want %v, and no limit of bytes", c.text, c.at, got, c.want)
		}
	}
	s, err := load(minimal, "stream.limits.bytes=ramp 1MB/s to 40MB/s over 1m")
	if err != nil {
		t.Fatal(err)
	}
	if records, bytes := s.Stream.Limits.Ceilings(); records != nil || bytes.Rate(time.Hour) != 40e6 {
		t.Errorf("bytes %v, records %v", bytes, records)
	}
}

func TestProfilesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"rampe 1k/s to 2k/s over 1m":           "or one that does: ramp A to B",
		"fast":                                 `"fast": want a rate that does not change, such as 40k/s, of bytes 40MB/s, or max; or one that does: ramp A to B over TIME; steps`,
		"ramp 1k/s to 2k/s over soon":          `want a duration such as 5m, got "soon"`,
		"ramp 1k to 2k/s over 1m":              "want 40k/s or max",
		"ramp max to 2k/s over 1m":             "want a rate, got max",
		"steps 0/s every 1m":                   "some rate is above 0",
		"sine 0/s to 0/s every 1m":             "",
		"burst 1k/s to 2k/s for 2m every 1m":   "",
		"ramp 1k/s to 200M/s over 1m":          "no stream takes more than 20M/s",
		"file:no-such":                         "there is no such file",
		"file:rate.txt":                        "want a time and a rate",
		"ramp 1k/s to 2k/s over -5m":           "want a duration",
		"steps 1k/s,, 2k/s every 1m":           "want",
		"burst NaN/s to 2k/s for 1s every 10s": "want 40k/s or max",
	} {
		_, err := loadWith(map[string]string{"rate.txt": "now 5\n"}, minimal, "stream.limits.rate="+text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--set:1:") {
			t.Errorf("%q: got %v, want a fault with its place: %s", text, err, want)
		}
	}
}
