package local

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// faultForms says how each fault is written; the order is that of a message.
var faultForms = []struct{ name, form string }{
	{"drop", "drop=7"}, {"duplicate", "duplicate=7"}, {"corrupt", "corrupt=7"}, {"reject", "reject=7"}, {"delay", "delay=7 or delay=7:30s"}, {"misplace", "misplace=7"}, {"truncate", "truncate=1"}, {"throttle", "throttle=7"},
	{"lost", "lost=2%"}, {"reset", "reset=1%"}, {"failure", "failure=0.1%"}, {"failure-stored", "failure-stored=0.1%"},
	{"latency", "latency=5ms"}, {"jitter", "jitter=2ms"},
	{"lose", "lose=500:3@10, or reset, body, json in place of 500"},
	{"stream-drop", "stream-drop=7"}, {"stream-duplicate", "stream-duplicate=7"}, {"stream-corrupt", "stream-corrupt=7"},
	{"late", "late=30s:1@10"}, {"refuse", "refuse=KMSThrottlingException:3@10"},
	{"refuse-read", "refuse-read=ExpiredIteratorException:3@10"},
}

// ParseFaults reads faults as people write them: NAME=VALUE, separated by
// commas. Counts: drop, duplicate, corrupt, reject, misplace, truncate, throttle, and at the
// stream stream-drop, stream-duplicate, stream-corrupt; delay with or without a
// :TIME behind it. Percentages:
// lost, reset (of the calls), failure, failure-stored (of the entries). Times:
// latency, jitter. Call faults, any number, in their order: lose=WAY:CALLS,
// late=DELAY:CALLS, refuse=CODE:CALLS, refuse-read=CODE:CALLS, each with @AFTER behind it or not. Seed,
// Of and the functions are the caller's. All that is wrong is told at once.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	var faults []error
	for part := range strings.SplitSeq(text, ",") {
		if text == "" {
			break
		}
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if err := f.set(name, value); err != nil {
			faults = append(faults, fmt.Errorf("local: fault %q: %w", part, err))
		}
	}
	return f, errors.Join(faults...)
}

// set reads one fault into f.
func (f *Faults) set(name, value string) error {
	counts := map[string]*int{"drop": &f.Drop, "duplicate": &f.Duplicate, "corrupt": &f.Corrupt, "reject": &f.Reject, "misplace": &f.Misplace, "truncate": &f.Truncate, "throttle": &f.Throttle,
		"stream-drop": &f.StreamDrop, "stream-duplicate": &f.StreamDuplicate, "stream-corrupt": &f.StreamCorrupt}
	shares := map[string]*float64{"lost": &f.LostPercent, "reset": &f.ResetPercent, "failure": &f.FailPercent, "failure-stored": &f.FailStoredPercent}
	times := map[string]*time.Duration{"latency": &f.Latency, "jitter": &f.Jitter}
	ways := map[string]bool{"lose": true, "late": true, "refuse": true, "refuse-read": true}
	var err error
	ok := true
	switch {
	case counts[name] != nil:
		*counts[name], err = strconv.Atoi(value)
		ok = *counts[name] >= 0
	case name == "delay":
		count, by, timed := strings.Cut(value, ":")
		f.Delay, err = strconv.Atoi(count)
		if timed && err == nil {
			f.DelayBy, err = time.ParseDuration(by)
		}
		ok = f.Delay >= 0 && (!timed || f.DelayBy > 0)
	case shares[name] != nil:
		*shares[name], err = strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		ok = *shares[name] >= 0 && *shares[name] <= 100
	case times[name] != nil:
		*times[name], err = time.ParseDuration(value)
		ok = *times[name] >= 0
	case ways[name]:
		var c CallFault
		c, ok = parseCall(name, value)
		list := &f.Calls
		if name == "refuse-read" {
			list = &f.Reads
		}
		*list = append(*list, c)
	}
	for _, x := range faultForms {
		if x.name != name {
			continue
		}
		if err != nil || !ok {
			return fmt.Errorf("want it as in %s", x.form)
		}
		return nil
	}
	return fmt.Errorf("want one of %s", names())
}

func names() string {
	var all []string
	for _, x := range faultForms {
		all = append(all, x.name)
	}
	return strings.Join(all, ", ")
}

// parseCall reads WHAT:CALLS or WHAT:CALLS@AFTER.
func parseCall(name, value string) (c CallFault, ok bool) {
	what, rest, _ := strings.Cut(value, ":")
	calls, after, delayed := strings.Cut(rest, "@")
	var errs [3]error
	c.Calls, errs[0] = strconv.Atoi(calls)
	if delayed {
		c.After, errs[1] = strconv.Atoi(after)
	}
	switch name {
	case "lose":
		c.Way = what
		ok = c.lost()
	case "late":
		c.Way = Late
		c.Delay, errs[2] = time.ParseDuration(what)
		ok = true
	default:
		c.Way, c.Code = Refused, what
		ok = true
	}
	return c, ok && errors.Join(errs[:]...) == nil && c.check() == nil
}
