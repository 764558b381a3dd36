package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"kreplay/pkg/local"
)

// send puts the texts from..to-1 in one call.
func send(ctx context.Context, c *kinesis.Client, from, to int) (*kinesis.PutRecordsOutput, error) {
	return c.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: entries(from, to)})
}

// sendLate sends, and waits no longer than until the records are stored: after a
// fixed time a busy machine might not have sent them yet.
func sendLate(ctx context.Context, p *local.Pipeline, c *kinesis.Client, from, to int) error {
	ctx, giveUp := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer giveUp()
	want := len(p.Planted()) + to - from
	watch.Go(func() {
		for tick := time.NewTicker(time.Millisecond); len(p.Planted()) < want; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		giveUp()
	})
	_, err := send(ctx, c, from, to)
	return err
}

// way is how a client sees a call that went wrong.
func way(err error) string {
	_, refused := errors.AsType[smithy.APIError](err)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ECONNRESET):
		return local.LostReset
	case refused && code(err) == "InternalFailure":
		return local.LostError
	case refused:
		return code(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return local.Late
	case strings.Contains(err.Error(), "deserialization failed"):
		return "broken"
	}
	return err.Error()
}

// listed counts what was planted, by kind and way.
func listed(p *local.Pipeline) map[[2]string]int {
	n := map[[2]string]int{}
	for _, f := range p.Planted() {
		n[[2]string{f.Kind, f.Way}]++
	}
	return n
}

// stored is what the streams hold, by text.
func stored(t testing.TB, c *kinesis.Client) map[string]int {
	r := newReader(t, c)
	r.drain()
	n := map[string]int{}
	for _, s := range r.order {
		n[s]++
	}
	return n
}

// Answers are lost in both ways at once, each as often as asked for; what is lost is stored and listed.
func TestTwoWaysOfLosing(t *testing.T) {
	p := start(t, local.Config{Faults: local.Faults{Seed: 3, LostPercent: 20, ResetPercent: 10}})
	c := client(t, p, "AKID")
	saw := map[string]int{}
	for i := range 500 {
		_, err := send(t.Context(), c, i, i+1)
		saw[way(err)]++
	}
	n := listed(p)
	lost, reset := n[[2]string{local.AnswerLost, local.LostError}], n[[2]string{local.AnswerLost, local.LostReset}]
	if saw[local.LostError] != lost || saw[local.LostReset] != reset || len(saw) != 3 || len(n) != 2 {
		t.Errorf("saw %v, planted %v", saw, n)
	}
	if lost < 70 || lost > 130 || reset < 25 || reset > 75 {
		t.Errorf("%d and %d of 500 lost, want about 100 and 50", lost, reset)
	}
	if got := stored(t, c); len(got) != 500 {
		t.Errorf("%d stored, want 500", len(got))
	}
}

// An entry fails alone; Planted tells whether it is stored, and the stream and the lake agree.
func TestFailedEntries(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, Delimiter: "\n", Faults: local.Faults{Seed: 1, Of: 2000, Throttle: 50, FailPercent: 6, FailStoredPercent: 3, LostEvery: 5}})
	c := client(t, p, "AKID")
	saw, want := map[string]int{}, map[string]int{}
	for from := 0; from < 2000; from += 100 {
		out, err := send(t.Context(), c, from, from+100)
		if err != nil {
			continue
		}
		failed := 0
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				failed++
			}
			if aws.ToString(r.ErrorCode) == "InternalFailure" && r.SequenceNumber == nil {
				saw[text(from+i)]++
			}
		}
		if failed != int(aws.ToInt32(out.FailedRecordCount)) {
			t.Errorf("FailedRecordCount %d, want %d", aws.ToInt32(out.FailedRecordCount), failed)
		}
	}
	for i := range 2000 {
		want[text(i)] = 1
	}
	kept, gone := 0, 0
	for _, f := range p.Planted() {
		switch {
		case f.Kind == local.Throttled:
			delete(want, string(f.Data))
		case f.Kind == local.AnswerLost && f.Seq == "":
			t.Errorf("%s is not stored, so its answer is no loss", f.Data)
		case f.Kind != local.Failed:
		case saw[string(f.Data)] != 1:
			t.Errorf("%s failed and nobody saw it", f.Data)
		case f.Seq == "":
			delete(want, string(f.Data))
			gone++
		default:
			kept++
		}
	}
	if kept+gone != len(saw) || gone < 60 || gone > 130 || kept < 25 || kept > 75 {
		t.Errorf("%d entries failed, planted %d not stored and %d stored, want about 96 and 48", len(saw), gone, kept)
	}
	flush(t, p)
	for where, got := range map[string]map[string]int{"stream": stored(t, c), "lake": rows(lake(t, dir))} {
		if len(got) != len(want) {
			t.Errorf("%s: %d records, want %d", where, len(got), len(want))
		}
		for s, n := range got {
			if n != want[s] {
				t.Errorf("%s: %s %d times, want %d", where, s, n, want[s])
			}
		}
	}
}

// Each call fault shows as what it is, after so many calls, for so many calls, one fault
// after another; what it says of storing holds.
func TestCallFaults(t *testing.T) {
	refused := func(code string) local.CallFault { return local.CallFault{Way: local.Refused, Code: code} }
	for _, x := range []struct {
		fault local.CallFault
		see   string
	}{
		{local.CallFault{Way: local.LostError}, local.LostError},
		{local.CallFault{Way: local.LostReset}, local.LostReset},
		{local.CallFault{Way: local.LostBody}, "broken"},
		{local.CallFault{Way: local.LostJSON}, "broken"},
		{local.CallFault{Way: local.Late, Delay: time.Hour}, local.Late},
		{refused("ProvisionedThroughputExceededException"), "ProvisionedThroughputExceededException"},
		{refused("LimitExceededException"), "LimitExceededException"},
		{refused("KMSThrottlingException"), "KMSThrottlingException"},
		{refused("ExpiredTokenException"), "ExpiredTokenException"},
		{refused("RequestEntityTooLargeException"), "RequestEntityTooLargeException"},
		{refused("ServiceUnavailable"), "ServiceUnavailable"},
		{refused("InternalFailure"), local.LostError},
	} {
		x.fault.Calls, x.fault.After = 2, 1
		p := start(t, local.Config{Faults: local.Faults{Calls: []local.CallFault{x.fault}}})
		c := client(t, p, "AKID")
		if err := p.Fail(local.CallFault{Way: local.Refused, Code: "ThrottlingException", Calls: 1, After: 1}); err != nil {
			t.Fatal(err)
		}
		var saw []string
		for i := range 6 {
			var err error
			if x.fault.Way == local.Late && (i == 1 || i == 2) {
				err = sendLate(t.Context(), p, c, 10*i, 10*i+10)
			} else {
				_, err = send(t.Context(), c, 10*i, 10*i+10)
			}
			saw = append(saw, way(err))
		}
		if got, want := strings.Join(saw, " "), " "+x.see+" "+x.see+"  ThrottlingException "; got != want {
			t.Errorf("%+v: the calls saw %q, want %q", x.fault, got, want)
		}
		kept := 50
		kind, how := local.AnswerLost, x.fault.Way
		switch x.fault.Way {
		case local.Refused:
			kept, kind, how = 30, local.Refused, x.fault.Code
		case local.Late:
			kind, how = local.Late, ""
		}
		if n := listed(p); n[[2]string{kind, how}] != 20 || n[[2]string{local.Refused, "ThrottlingException"}] != 10 || len(n) != 2 {
			t.Errorf("%+v: planted %v", x.fault, n)
		}
		for _, f := range p.Planted() {
			if (f.Seq == "") != (f.Kind == local.Refused) {
				t.Errorf("%+v: planted as %s with the sequence number %q", x.fault, f.Kind, f.Seq)
			}
		}
		if got := stored(t, c); len(got) != kept {
			t.Errorf("%+v: %d stored, want %d", x.fault, len(got), kept)
		}
	}
}

// An answer may break off in the middle of what it announced, or be whole and no JSON.
func TestBrokenAnswers(t *testing.T) {
	for way, want := range map[string]error{local.LostBody: io.ErrUnexpectedEOF, local.LostJSON: nil} {
		p := start(t, local.Config{Faults: local.Faults{Calls: []local.CallFault{{Way: way, Calls: 1}}}})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL(), strings.NewReader(`{"StreamName":"events","Records":[{"Data":"YQ==","PartitionKey":"k"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecords")
		r.Close = true
		resp, err := new(http.Transport).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !errors.Is(err, want) || len(body) == 0 || json.Valid(body) {
			t.Errorf("%s: %s, %q, %v, want a part of a body and %v", way, resp.Status, body, err, want)
		}
	}
}

// A refusal has the status that goes with its code.
func TestRefusalStatus(t *testing.T) {
	for code, want := range map[string]int{"RequestEntityTooLargeException": 413, "ServiceUnavailable": 503, "InternalFailure": 500, "KMSThrottlingException": 400} {
		p := start(t, local.Config{Faults: local.Faults{Calls: []local.CallFault{{Way: local.Refused, Code: code, Calls: 1}}}})
		_, err := send(t.Context(), client(t, p, "AKID"), 0, 1)
		if e, ok := errors.AsType[interface {
			error
			HTTPStatusCode() int
		}](err); !ok || e.HTTPStatusCode() != want {
			t.Errorf("%s: %v, want status %d", code, err, want)
		}
	}
}

// Close does not wait for answers that hang: they come at once, with what was stored.
func TestCloseEndsHanging(t *testing.T) {
	p := start(t, local.Config{Faults: local.Faults{Calls: []local.CallFault{{Way: local.Late, Delay: time.Hour, Calls: 1}}}})
	c := client(t, p, "AKID")
	done := make(chan error, 1)
	go func() {
		_, err := send(t.Context(), c, 0, 10)
		done <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(p.Planted()) == 0 {
		<-tick.C
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the answer that hung: %v", err)
	}
}

// Latency delays every answer by its fixed part at least, and can change.
func TestLatency(t *testing.T) {
	const fixed = 30 * time.Millisecond
	p := start(t, local.Config{Faults: local.Faults{Latency: fixed, Jitter: time.Millisecond}})
	c := client(t, p, "AKID")
	for range 3 {
		began := time.Now()
		if _, err := send(t.Context(), c, 0, 1); err != nil || time.Since(began) < fixed {
			t.Errorf("answered after %v, %v, want %v or more", time.Since(began), err, fixed)
		}
	}
	if err := p.SetLatency(time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), fixed)
	defer cancel()
	if _, err := send(ctx, c, 1, 2); way(err) != local.Late {
		t.Errorf("an hour's latency: %v", err)
	}
	if err := errors.Join(p.SetLatency(0, 0), p.SetLatency(-1, 0)); err == nil {
		t.Error("a negative latency is set")
	}
	if _, err := send(t.Context(), c, 2, 3); err != nil {
		t.Error(err)
	}
}

// A client that does not know meets the shard's own limit; it can change at any time, for one shard or all.
func TestShardLimits(t *testing.T) {
	spec := local.StreamSpec{Name: streamName, Shards: 2, ShardLimit: func(n int) local.ShardLimit { return local.ShardLimit{Records: 4 * n} }}
	p := start(t, local.Config{Streams: []local.StreamSpec{spec}})
	c := client(t, p, "AKID")
	// pass sends 20 records to each end of the hash keys and tells how many each end takes.
	pass := func() (low, high int) {
		var recs []types.PutRecordsRequestEntry
		for i := range 40 {
			at := "0"
			if i >= 20 {
				at = "340282366920938463463374607431768211455"
			}
			recs = append(recs, types.PutRecordsRequestEntry{Data: make([]byte, 99), PartitionKey: aws.String("k"), ExplicitHashKey: &at})
		}
		out, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: recs})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range out.Records {
			switch {
			case r.ErrorCode != nil:
			case i < 20:
				low++
			default:
				high++
			}
		}
		return low, high
	}
	set := func(id string, l local.ShardLimit) {
		t.Helper()
		if err := p.SetShardLimit(streamName, id, l); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, low, high int) {
		t.Helper()
		if a, b := pass(); a != low || b != high {
			t.Errorf("%s: %d and %d of 20 taken, want %d and %d", what, a, b, low, high)
		}
	}
	expect("second shard limited to 4", 20, 4)
	expect("its bucket empty", 20, 0)
	set("shardId-000000000001", local.ShardLimit{Bytes: 500})
	expect("second shard limited to 5 records' bytes, of which none were counted so far", 20, 5)
	set("shardId-000000000001", local.ShardLimit{})
	expect("no limit", 20, 20)
	set("", local.ShardLimit{Records: 3})
	for _, id := range []string{"shardId-000000000000", "shardId-000000000001"} {
		if err := p.Split(streamName, id); err != nil {
			t.Fatal(err)
		}
	}
	expect("fresh shards, full buckets, all limited to 3", 3, 3)
	expect("fresh shards, empty buckets", 0, 0)
	for _, err := range []error{
		p.SetShardLimit("none", "", local.ShardLimit{}), p.SetShardLimit(streamName, "none", local.ShardLimit{}),
		p.SetShardLimit(streamName, "", local.ShardLimit{Records: -1}),
	} {
		if err == nil {
			t.Error("a limit of nothing, or a negative one, is set")
		}
	}
}

// Config's limit stands where a shard has none of its own.
func TestShardLimitsOverConfig(t *testing.T) {
	p := start(t, local.Config{Limits: true, ShardRecords: 7, Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	c := client(t, p, "AKID")
	for _, x := range []struct {
		limit local.ShardLimit
		want  int
	}{{local.ShardLimit{}, 7}, {local.ShardLimit{Records: 2}, 2}, {local.ShardLimit{Bytes: 1 << 20}, 7}} {
		if err := p.SetShardLimit(streamName, "", x.limit); err != nil {
			t.Fatal(err)
		}
		if err := p.Resize(streamName, 2); err != nil {
			t.Fatal(err)
		}
		if err := p.Resize(streamName, 1); err != nil { // a fresh shard
			t.Fatal(err)
		}
		out, err := send(t.Context(), c, 0, 20)
		if err != nil || 20-int(aws.ToInt32(out.FailedRecordCount)) != x.want {
			t.Errorf("%+v: %d refused of 20, %v, want %d taken", x.limit, aws.ToInt32(out.FailedRecordCount), err, x.want)
		}
	}
}

// Faults that cannot be carried out are refused, all at once.
func TestStartRefusesBadCallFaults(t *testing.T) {
	nan := 0.0
	nan /= nan
	_, err := local.Start(t.Context(), listen(t), local.Config{Reshard: -1, Faults: local.Faults{
		ResetPercent: 60, LostPercent: 40, FailPercent: nan, Jitter: -1, LostMode: "late",
		Calls: []local.CallFault{{Way: "x", Calls: 1}, {Way: local.Refused, Calls: 1}, {Way: local.Late, Calls: 1}, {Way: local.LostJSON}},
	}})
	for _, want := range []string{"time of a reshard", "ever arrive", "ever succeed", "latency is negative", "lost mode", "unknown way", "a code is for", "a delay is for", "Calls from 1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	p := start(t, local.Config{})
	if p.Fail(local.CallFault{Way: local.LostError, Code: "x", Calls: 1}) == nil {
		t.Error("a fault that cannot be is planted")
	}
}
