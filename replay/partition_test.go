package replay

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Where an object is put at a time is where it is found, and no other hour's
// folder will do.
func TestPartitionHoldsWhatWasDeliveredInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPartition(rapid.SampledFrom([]string{
			"!{timestamp:yyyy/MM/dd/HH}", "raw/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "!{timestamp:yyyy'T'MMdd'T'HH}",
		}).Draw(t, "pattern"))
		began := time.Unix(rapid.Int64Range(1_600_000_000, 1_900_000_000).Draw(t, "began"), 0)
		length := time.Duration(rapid.Int64Range(0, int64(50*time.Hour)).Draw(t, "length"))
		at := began.Add(time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "at")))
		key := p.at(at) + "/x.gz"
		if !p.holds(key, began, began.Add(length)) {
			t.Fatalf("%s, delivered at %v, is not held between %v and %v", key, at, began, began.Add(length))
		}
		if late := at.Add(length + 2*time.Hour); p.holds(key, late, late.Add(length)) && p.at(at) != p.at(late) {
			t.Fatalf("%s, delivered at %v, is held from %v on", key, at, late)
		}
	})
}

func TestPartitionIsSpelled(t *testing.T) {
	at := time.Date(2026, 9, 14, 8, 5, 0, 0, time.FixedZone("JST", 9*3600))
	for pattern, want := range map[string]string{
		"!{timestamp:yyyy/MM/dd/HH}":                       "2026/09/13/23",
		"a/dt=!{timestamp:yyyy-MM-dd}/h=!{timestamp:HHmm}": "a/dt=2026-09-13/h=2305",
		"!{timestamp:yyyy'MM'}":                            "2026MM",
		"plain/":                                           "plain/",
	} {
		if got := newPartition(pattern).at(at); got != want {
			t.Errorf("%s at %v is %q, want %q", pattern, at, got, want)
		}
	}
}

// Below the prefixes lies every folder of the time between, and they are few,
// however fine the folders are.
func TestPartitionPrefixesHoldTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPartition(rapid.SampledFrom([]string{
			"!{timestamp:yyyy/MM/dd/HH}", "raw/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "!{timestamp:yyyyMMdd'T'HHmm}/", "!{timestamp:dd/MM}", "plain/",
		}).Draw(t, "pattern"))
		began := time.Unix(rapid.Int64Range(1_600_000_000, 1_900_000_000).Draw(t, "began"), 0)
		length := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "length"))
		at := began.Add(-neighbour + time.Duration(rapid.Int64Range(0, int64(length+2*neighbour)).Draw(t, "at")))
		list := p.prefixes(began, began.Add(length))
		key, found := p.at(at)+"/x.gz", 0
		for _, prefix := range list {
			if strings.HasPrefix(key, prefix) {
				found++
			}
		}
		if found != 1 || len(list) > mostFolders {
			t.Fatalf("%s, delivered at %v: below %d of %d prefixes %q, want one of at most %d", key, at, found, len(list), list, mostFolders)
		}
		if hours := int(length/time.Hour) + 4; p.step == time.Hour && len(list) > hours && hours <= mostFolders {
			t.Fatalf("%d prefixes for %v", len(list), length)
		}
	})
}
