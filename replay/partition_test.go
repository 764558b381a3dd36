package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kreplay/pkg/scenario"
)

func partitionOf(pattern, zone string) *partition {
	return newPartition(scenario.Stage{Partition: pattern, TimeZone: zone}, nil)
}

// zones have offsets of whole, half and quarter hours, and summer times of an hour
// and of half of one; Apia has left out a day.
var zones = []string{
	"", "Asia/Tokyo", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns", "Pacific/Apia", "-03:30",
}

var patterns = []string{
	"!{timestamp:yyyy/MM/dd/HH}", "raw/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "!{timestamp:yyyyMMdd'T'HHmm}/", "!{timestamp:dd/MM}", "plain/",
	"!{timestamp:uuuu}/!{timestamp:DDD}/", "dt=!{timestamp:yyyy-MM-dd}/c=!{partitionKeyFromQuery:c}/h=!{timestamp:HH}", "!{firehose:random-string}/!{timestamp:yyyy/MM/dd}/",
	"!{partitionKeyFromLambda:a}-!{timestamp:HH}-!{partitionKeyFromQuery:b}",
}

func drawPartition(t *rapid.T) *partition {
	return partitionOf(rapid.SampledFrom(patterns).Draw(t, "pattern"), rapid.SampledFrom(zones).Draw(t, "zone"))
}

func drawTime(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(1_200_000_000, 1_900_000_000).Draw(t, "began"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
}

// values draws a value for each key.
func (p *partition) draw(t *rapid.T) []string {
	list := []string{}
	for range p.keys {
		list = append(list, rapid.StringMatching(`[A-Za-z0-9_-]{1,4}`).Draw(t, "value"))
	}
	return list
}

// Where an object is put at a time is where it is found, and no other hour's
// folder will do, whatever the zone and its summer time.
func TestPartitionHoldsWhatWasDeliveredInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPartition(t)
		began := drawTime(t)
		length := time.Duration(rapid.Int64Range(0, int64(50*time.Hour)).Draw(t, "length"))
		at := began.Add(time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "at")))
		values := p.draw(t)
		key := p.at(at, values) + "x.gz"
		for _, want := range [][]string{nil, values} {
			if _, ok := p.holds(key, began, began.Add(length), want); !ok {
				t.Fatalf("%s, delivered at %v, is not held between %v and %v by %q", key, at, began, began.Add(length), want)
			}
		}
		folders := map[string]bool{}
		late := at.Add(length + 2*time.Hour)
		for u := late; !u.After(late.Add(length)); u = u.Add(time.Minute) {
			folders[p.at(u, values)] = true
		}
		folders[p.at(late.Add(length), values)] = true
		if _, ok := p.holds(key, late, late.Add(length), values); ok != folders[p.at(at, values)] {
			t.Fatalf("%s, delivered at %v: held from %v on is %v, of the folders %v", key, at, late, ok, folders)
		}
		if len(values) > 0 {
			other := append([]string{values[0] + "x"}, values[1:]...)
			if _, ok := p.holds(key, at, at, other); ok {
				t.Fatalf("%s is held by %q", key, other)
			}
		}
	})
}

func TestPartitionIsSpelled(t *testing.T) {
	at := time.Date(2026, 9, 14, 8, 5, 0, 0, time.FixedZone("JST", 9*3600))
	for _, test := range []struct{ pattern, zone, want string }{
		{"!{timestamp:yyyy/MM/dd/HH}", "", "2026/09/13/23"},
		{"!{timestamp:yyyy/MM/dd/HH}", "Asia/Tokyo", "2026/09/14/08"},
		{"!{timestamp:yy-DDD}/", "America/New_York", "26-256/"},
		{"a/dt=!{timestamp:yyyy-MM-dd}/h=!{timestamp:HHmm}", "", "a/dt=2026-09-13/h=2305"},
		{"!{timestamp:yyyy'MM'}", "", "2026MM"},
		{"!{timestamp:'o''clock 2006' HH''}", "", "o'clock 2006 23'"},
		{"c=!{partitionKeyFromQuery:c}/!{timestamp:HH}", "", "c=JP/23"},
		{"!{timestamp:HH}/c=!{partitionKeyFromQuery:c}", "", "23/c=JP/"},
		{"!{firehose:random-string}/", "", "00000000000/"},
		{"plain/", "", "plain/"},
	} {
		if got := partitionOf(test.pattern, test.zone).at(at, []string{"JP"}); got != test.want {
			t.Errorf("%s in %q at %v is %q, want %q", test.pattern, test.zone, at, got, test.want)
		}
	}
}

// Below the prefixes lies every folder of the time between and of an hour before
// and after it, and they are few, however fine the folders are.
func TestPartitionPrefixesHoldTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPartition(t)
		values := p.draw(t)
		for i := range p.keys {
			if rapid.Bool().Draw(t, "known") {
				p.keys[i].known = []string{values[i], values[i] + "x", "z"}
			}
		}
		began := drawTime(t)
		length := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "length"))
		at := began.Add(-neighbour + time.Duration(rapid.Int64Range(0, int64(length+2*neighbour)).Draw(t, "at")))
		list := p.prefixes(began, began.Add(length))
		key, found := p.at(at, values)+"x.gz", 0
		for _, prefix := range list {
			if strings.HasPrefix(key, prefix) {
				found++
			}
		}
		if found != 1 || len(list) > mostFolders {
			t.Fatalf("%s, delivered at %v: below %d of %d prefixes %q, want one of at most %d", key, at, found, len(list), list, mostFolders)
		}
		if hours := int(length/time.Hour) + 4; len(p.keys) == 0 && p.step == quarter && len(list) > hours && hours <= mostFolders {
			t.Fatalf("%d prefixes for %v", len(list), length)
		}
	})
}

// What is listed is no more than it has to be.
func TestPartitionPrefixesAreNarrow(t *testing.T) {
	at := time.Date(2026, 9, 14, 8, 5, 0, 0, time.UTC)
	for _, test := range []struct {
		pattern, zone string
		known         []string
		bounded       bool
		want          string
	}{
		{"dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "", nil, true, "[dt=2026-09-14/hour=07/ dt=2026-09-14/hour=08/ dt=2026-09-14/hour=09/]"},
		{"dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "Asia/Kathmandu", nil, true, "[dt=2026-09-14/hour=12/ dt=2026-09-14/hour=13/ dt=2026-09-14/hour=14/]"},
		{"c=!{partitionKeyFromQuery:c}/!{timestamp:HH}/", "", nil, false, "[c=]"},
		{"c=!{partitionKeyFromQuery:c}/!{timestamp:HH}/", "", []string{"JP", "J"}, true, "[c=J/07/ c=J/08/ c=J/09/ c=JP/07/ c=JP/08/ c=JP/09/]"},
		{"!{timestamp:HH}/c=!{partitionKeyFromQuery:c}/", "", nil, true, "[07/c= 08/c= 09/c=]"},
		{"!{timestamp:yyyy/}!{firehose:random-string}/!{timestamp:MM}", "", nil, true, "[2026/]"},
	} {
		p := partitionOf(test.pattern, test.zone)
		if len(p.keys) > 0 {
			p.keys[0].known = test.known
		}
		if got := fmt.Sprint(p.prefixes(at, at)); got != test.want || p.bounded() != test.bounded {
			t.Errorf("%s in %q of %q: %s, bounded %v; want %s, %v", test.pattern, test.zone, test.known, got, p.bounded(), test.want, test.bounded)
		}
	}
}

// An object whose oldest record is another producer's lies where that belonged,
// which was at most as long before the run as Firehose buffers.
func TestASharedObjectLiesInAnEarlierFolder(t *testing.T) {
	p := partitionOf("!{timestamp:yyyy/MM/dd/HH}/", "")
	began := time.Date(2026, 9, 14, 8, 2, 0, 0, time.UTC)
	for key, right := range map[string]bool{"2026/09/14/06/x": false, "2026/09/14/07/x": true, "2026/09/14/08/x": true, "2026/09/14/09/x": true, "2026/09/14/10/x": false} {
		why := p.spot(key, began, began.Add(time.Hour)).wrong(0, 0)
		if (why == "") != right {
			t.Errorf("%s: %q, want right to be %v", key, why, right)
		}
	}
	if why := p.spot("2026/09/14/07/x", began.Add(40*time.Minute), began.Add(time.Hour)).wrong(0, 0); why == "" {
		t.Error("the folder of the hour before is right 42 minutes into the hour")
	}
	if why := (*partition)(nil).spot("x", began, began).wrong(0, 0); why != "" {
		t.Errorf("without a partition: %q", why)
	}
}

// Where the clock leaps over half an hour, the hour that is left of it has a folder
// of its own.
func TestHalfAnHourIsAFolder(t *testing.T) {
	p := partitionOf("!{timestamp:yyyy/MM/dd/HH}/", "Australia/Lord_Howe")
	at := time.Date(2026, 10, 3, 15, 45, 0, 0, time.UTC) // 02:45, on a day without 02:15
	from, to := at.Add(-4*time.Hour), at.Add(4*time.Hour)
	key := p.at(at, nil) + "x"
	if _, ok := p.holds(key, from, to, nil); !ok || key != "2026/10/04/02/x" || !slices.Contains(p.prefixes(from, to), "2026/10/04/02/") {
		t.Errorf("%s: held %v, listed %q", key, ok, p.prefixes(from, to))
	}
}
