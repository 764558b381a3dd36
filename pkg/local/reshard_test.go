package local_test

import (
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"pgregory.net/rapid"

	"kreplay/pkg/local"
)

// Whatever is put, split, merged, resized and read in whatever order: an ack names an open
// shard that holds the key, readers see every record once and a key's in order, and so does the lake.
func TestReshardingLosesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		p, err := local.Start(t.Context(), listen(t), local.Config{
			Streams: []local.StreamSpec{{Name: streamName, Shards: rapid.IntRange(1, 5).Draw(rt, "shards")}},
			Lake:    dir, BufferBytes: 500, Delimiter: "\n",
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		c := client(t, p, "AKID")
		r := newReader(t, c)
		var want []string
		actions := map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				want = append(want, putKeyed(rt, t, c, len(want))...)
			},
			"split": func(rt *rapid.T) {
				s := rapid.SampledFrom(open(t, c)).Draw(rt, "shard")
				from, to := number(s.HashKeyRange.StartingHashKey), number(s.HashKeyRange.EndingHashKey)
				at := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "at"))
				fits := at.Cmp(new(big.Int).Add(from, one)) > 0 && at.Cmp(to) < 0
				if err := split(c, *s.ShardId, at); (err == nil) != fits {
					rt.Fatalf("split of %s to %s at %s: %v", from, to, at, err)
				}
			},
			"merge": func(rt *rapid.T) {
				all := open(t, c)
				i, j := rapid.IntRange(0, len(all)-1).Draw(rt, "i"), rapid.IntRange(0, len(all)-1).Draw(rt, "j")
				if err := merge(c, *all[i].ShardId, *all[j].ShardId); (err == nil) != (i == j+1 || j == i+1) {
					rt.Fatalf("merge of %d and %d: %v", i, j, err)
				}
			},
			"resize": func(rt *rapid.T) {
				if err := p.Resize(streamName, rapid.IntRange(1, 5).Draw(rt, "n")); err != nil {
					rt.Fatal(err)
				}
			},
			"read": func(rt *rapid.T) {
				ids := slices.Sorted(keys(r.at))
				r.step(rapid.SampledFrom(ids).Draw(rt, "shard"), rapid.IntRange(1, 20).Draw(rt, "limit"))
			},
		}
		rt.Repeat(actions)
		open(t, c)
		lineage(t, c)
		r.drain()
		sameByKey(t, want, r.order)
		flush(t, p)
		if got := rows(lake(t, dir)); len(got) != len(want) {
			t.Errorf("%d rows in the lake, want %d", len(got), len(want))
		}
		total := int64(0)
		for _, n := range p.Counts() {
			total += n.Records
		}
		if total != int64(len(want)) {
			t.Errorf("shards count %d records, want %d", total, len(want))
		}
	})
}

// Puts that run while the stream reshards are stored once each.
func TestPutsDuringReshard(t *testing.T) {
	dir := t.TempDir()
	p := start(t, local.Config{Lake: dir, Delimiter: "\n", BufferBytes: 20_000})
	c := client(t, p, "AKID")
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			if put(t, c, w*2000, w*2000+2000) != 0 {
				t.Error("a put failed")
			}
		})
	}
	for n := range 60 {
		if err := p.Resize(streamName, n%7+1); err != nil {
			t.Error(err)
		}
		if err := p.Split(streamName, *open(t, c)[0].ShardId); err != nil {
			t.Error(err)
		}
		all := open(t, c)
		if err := p.Merge(streamName, *all[1].ShardId, *all[0].ShardId); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	r := newReader(t, c)
	r.drain()
	flush(t, p)
	if got := rows(lake(t, dir)); len(r.order) != 6000 || len(got) != 6000 {
		t.Errorf("%d read, %d delivered, want 6000", len(r.order), len(got))
	}
}

// A merge's child names the shard that was asked for as parent, the other one as adjacent parent.
func TestParents(t *testing.T) {
	p := start(t, local.Config{})
	c := client(t, p, "AKID")
	all := open(t, c)
	if err := split(c, *all[0].ShardId, big.NewInt(1000)); err != nil {
		t.Fatal(err)
	}
	if err := merge(c, *all[2].ShardId, *all[1].ShardId); err != nil {
		t.Fatal(err)
	}
	got := shards(t, c, types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: all[2].ShardId})
	for i, want := range []struct{ from, to, parent, adjacent string }{
		{"0", "999", *all[0].ShardId, ""},
		{"1000", *all[0].HashKeyRange.EndingHashKey, *all[0].ShardId, ""},
		{*all[1].HashKeyRange.StartingHashKey, *all[2].HashKeyRange.EndingHashKey, *all[2].ShardId, *all[1].ShardId},
	} {
		s := got[i]
		if *s.HashKeyRange.StartingHashKey != want.from || *s.HashKeyRange.EndingHashKey != want.to || *s.ParentShardId != want.parent || aws.ToString(s.AdjacentParentShardId) != want.adjacent {
			t.Errorf("child %d: %s %+v of %s and %s, want %v", i, *s.ShardId, *s.HashKeyRange, *s.ParentShardId, aws.ToString(s.AdjacentParentShardId), want)
		}
	}
	d, err := c.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String(streamName)})
	if err != nil || len(d.StreamDescription.Shards) != 6 {
		t.Errorf("DescribeStream: %d shards, %v, want 6", len(d.StreamDescription.Shards), err)
	}
	sum, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(streamName)})
	if err != nil || *sum.StreamDescriptionSummary.OpenShardCount != 3 || sum.StreamDescriptionSummary.RecordDistributionStrategy != "" {
		t.Errorf("summary: %+v, %v, want 3 open shards", sum, err)
	}
	closed := 0
	for _, n := range p.Counts() {
		if n.Closed {
			closed++
		}
	}
	if closed != 3 {
		t.Errorf("%d shards count as closed, want 3", closed)
	}
}

// UpdateShardCount makes equal shards from any shards, within its limits.
func TestUpdateShardCount(t *testing.T) {
	p := start(t, local.Config{})
	c := client(t, p, "AKID")
	if err := split(c, *open(t, c)[1].ShardId, new(big.Int).Lsh(one, 127)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{4, 5, 10, 9, 5, 3, 2, 1, 2, 4} {
		if err := resize(c, n); err != nil {
			t.Fatal(err)
		}
		all := open(t, c)
		for i, s := range all {
			if a, b := local.Route(n, *s.HashKeyRange.StartingHashKey), local.Route(n, *s.HashKeyRange.EndingHashKey); a != i || b != i {
				t.Errorf("shard %d of %d reaches from %d to %d", i, n, a, b)
			}
		}
		if len(all) != n {
			t.Errorf("%d shards, want %d", len(all), n)
		}
	}
	if err := resize(c, 4); code(err) != "LimitExceededException" {
		t.Errorf("eleventh update of a day: %v", err)
	}
	for n, want := range map[int]string{9: "LimitExceededException", 1: "LimitExceededException", 0: "ValidationException"} {
		q := start(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 4}}})
		if err := resize(client(t, q, "AKID"), n); code(err) != want {
			t.Errorf("4 shards to %d: %v, want %s", n, err, want)
		}
	}
	if err := p.Resize(streamName, 1); err != nil {
		t.Errorf("the service's own resize: %v", err)
	}
}

// What cannot be resharded says why, and stays as it was.
func TestReshardRefusals(t *testing.T) {
	p := start(t, local.Config{Reshard: time.Hour, Streams: []local.StreamSpec{
		{Name: streamName, Shards: 4}, {Name: "demand", OnDemand: true},
	}})
	c := client(t, p, "AKID")
	all := open(t, c)
	from, to := number(all[1].HashKeyRange.StartingHashKey), number(all[1].HashKeyRange.EndingHashKey)
	plus := func(n *big.Int, d int64) *big.Int { return new(big.Int).Add(n, big.NewInt(d)) }
	id := func(i int) string { return *all[i].ShardId }
	onDemand := func() error {
		_, err := c.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("demand"), ShardToSplit: aws.String(id(0)), NewStartingHashKey: aws.String("99")})
		return err
	}
	for _, x := range []struct {
		name string
		err  error
		want string
	}{
		{"at the start", split(c, id(1), from), "InvalidArgumentException"},
		{"one behind the start", split(c, id(1), plus(from, 1)), "InvalidArgumentException"},
		{"at the end", split(c, id(1), to), "InvalidArgumentException"},
		{"no hash", split(c, id(1), big.NewInt(-1)), "ValidationException"},
		{"no such shard", split(c, "shardId-000000000009", plus(from, 9)), "ResourceNotFoundException"},
		{"not adjacent", merge(c, id(0), id(2)), "InvalidArgumentException"},
		{"itself", merge(c, id(0), id(0)), "InvalidArgumentException"},
		{"unknown adjacent", merge(c, id(0), "x"), "ResourceNotFoundException"},
		{"on demand", onDemand(), "ValidationException"},
		{"two behind the start", split(c, id(1), plus(from, 2)), "<nil>"},
		{"while updating", merge(c, id(2), id(3)), "ResourceInUseException"},
	} {
		if code(x.err) != x.want {
			t.Errorf("%s: %v, want %s", x.name, x.err, x.want)
		}
	}
	if err := p.Merge(streamName, id(0), id(1)); err == nil || !strings.Contains(err.Error(), "already been merged or split") {
		t.Errorf("merge of a closed shard: %v", err)
	}
	sum, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(streamName)})
	if err != nil || sum.StreamDescriptionSummary.StreamStatus != types.StreamStatusUpdating {
		t.Errorf("summary %+v, %v, want UPDATING", sum, err)
	}
	if put(t, c, 0, 100) != 0 || len(open(t, c)) != 5 {
		t.Error("an updating stream takes no records, or has other shards than one split makes")
	}
	for _, err := range []error{p.Split("none", id(0)), p.Resize(streamName, 0), p.Split(streamName, "x")} {
		if err == nil {
			t.Error("a reshard of nothing succeeds")
		}
	}
}

// Each filter lists what it says; a token pages within its filter only.
func TestShardFilters(t *testing.T) {
	p := start(t, local.Config{Retain: 1000})
	c := client(t, p, "AKID")
	for range 2 { // 0 1 2, then 3 4 of 0, then 5 6 of 3
		if err := p.Split(streamName, *open(t, c)[0].ShardId); err != nil {
			t.Fatal(err)
		}
	}
	hour := func(n int) *time.Time { return aws.Time(time.Now().Add(time.Duration(n) * time.Hour)) }
	list := func(f types.ShardFilter) (ids string) {
		for _, s := range shards(t, c, f) {
			ids += (*s.ShardId)[len(*s.ShardId)-1:]
		}
		return ids
	}
	check := func(f types.ShardFilter, want string) {
		t.Helper()
		if got := list(f); got != want {
			t.Errorf("%s: shards %s, want %s", f.Type, got, want)
		}
	}
	check(types.ShardFilter{}, "0123456")
	check(types.ShardFilter{Type: "FROM_TRIM_HORIZON"}, "0123456")
	check(types.ShardFilter{Type: "AT_TRIM_HORIZON"}, "012")
	check(types.ShardFilter{Type: "AT_LATEST"}, "12456")
	check(types.ShardFilter{Type: "AFTER_SHARD_ID", ShardId: aws.String("shardId-000000000003")}, "456")
	check(types.ShardFilter{Type: "AT_TIMESTAMP", Timestamp: hour(1)}, "12456")
	check(types.ShardFilter{Type: "AT_TIMESTAMP", Timestamp: hour(-1)}, "")
	check(types.ShardFilter{Type: "FROM_TIMESTAMP", Timestamp: hour(1)}, "12456")
	check(types.ShardFilter{Type: "FROM_TIMESTAMP", Timestamp: hour(-1)}, "0123456")
	put(t, c, 0, 200) // more than is kept: what was closed before is past the horizon
	check(types.ShardFilter{}, "12456")
	check(types.ShardFilter{Type: "AT_TRIM_HORIZON"}, "12456")

	name := aws.String(streamName)
	page, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: name, MaxResults: aws.Int32(2)})
	if err != nil || page.NextToken == nil {
		t.Fatal(page, err)
	}
	for what, in := range map[string]*kinesis.ListShardsInput{
		"token and name":   {NextToken: page.NextToken, StreamName: name},
		"token and start":  {NextToken: page.NextToken, ExclusiveStartShardId: page.Shards[0].ShardId},
		"token and filter": {NextToken: page.NextToken, ShardFilter: &types.ShardFilter{Type: "AT_LATEST"}},
		"broken token":     {NextToken: aws.String("x")},
		"no id":            {StreamName: name, ShardFilter: &types.ShardFilter{Type: "AFTER_SHARD_ID"}},
		"no time":          {StreamName: name, ShardFilter: &types.ShardFilter{Type: "AT_TIMESTAMP"}},
		"time of latest":   {StreamName: name, ShardFilter: &types.ShardFilter{Type: "AT_LATEST", Timestamp: hour(0)}},
	} {
		if _, err := c.ListShards(t.Context(), in); code(err) != "InvalidArgumentException" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: name, ShardFilter: &types.ShardFilter{Type: "ALL"}}); code(err) != "ValidationException" {
		t.Errorf("unknown filter: %v", err)
	}
}

// An iterator of a closed shard may stand on its two ends and nowhere outside.
func TestIteratorsOfAClosedShard(t *testing.T) {
	p := start(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 1}}})
	c := client(t, p, "AKID")
	put(t, c, 0, 10)
	if err := p.Split(streamName, "shardId-000000000000"); err != nil {
		t.Fatal(err)
	}
	put(t, c, 10, 50)
	all := shards(t, c, types.ShardFilter{})
	parent, child := all[0].SequenceNumberRange, all[1].SequenceNumberRange
	get := func(kind types.ShardIteratorType, seq *string) (*kinesis.GetRecordsOutput, error) {
		it, err := c.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String(streamName), ShardId: all[0].ShardId, ShardIteratorType: kind, StartingSequenceNumber: seq})
		if err != nil {
			return nil, err
		}
		return c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	}
	for _, x := range []struct {
		kind types.ShardIteratorType
		seq  *string
		want int
	}{
		{types.ShardIteratorTypeTrimHorizon, nil, 10},
		{types.ShardIteratorTypeLatest, nil, 0},
		{types.ShardIteratorTypeAtSequenceNumber, parent.StartingSequenceNumber, 10},
		{types.ShardIteratorTypeAfterSequenceNumber, parent.EndingSequenceNumber, 0},
	} {
		out, err := get(x.kind, x.seq)
		if err != nil || len(out.Records) != x.want || out.NextShardIterator != nil || len(out.ChildShards) != 2 || *out.MillisBehindLatest != 0 {
			t.Errorf("%s: %+v, %v, want %d records, the end and 2 children", x.kind, out, err, x.want)
		}
	}
	if _, err := get(types.ShardIteratorTypeAtSequenceNumber, child.StartingSequenceNumber); code(err) != "InvalidArgumentException" {
		t.Errorf("a child's sequence number in its parent: %v", err)
	}
}

// An on-demand stream says so; under AUTO keys are needless and shards take turns.
func TestOnDemand(t *testing.T) {
	p := start(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, OnDemand: true}, {Name: "fixed", Shards: 1}}})
	c := client(t, p, "AKID")
	describe := func() *types.StreamDescriptionSummary {
		out, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(streamName)})
		if err != nil {
			t.Fatal(err)
		}
		return out.StreamDescriptionSummary
	}
	d := describe()
	if d.StreamModeDetails.StreamMode != types.StreamModeOnDemand || *d.OpenShardCount != 4 || d.WarmThroughput == nil || d.RecordDistributionStrategy != types.RecordDistributionStrategyUserPartitionKey {
		t.Errorf("summary %+v", d)
	}
	if err := resize(c, 8); code(err) != "ValidationException" {
		t.Errorf("UpdateShardCount of an on-demand stream: %v", err)
	}
	distribute := func(stream string, s types.RecordDistributionStrategy) error {
		_, err := c.UpdateStreamRecordDistributionStrategy(t.Context(), &kinesis.UpdateStreamRecordDistributionStrategyInput{
			StreamARN: aws.String("arn:aws:kinesis:eu-west-1:000000000000:stream/" + stream), RecordDistributionStrategy: s,
		})
		return err
	}
	keyless := []types.PutRecordsRequestEntry{{Data: []byte("x")}, {Data: []byte("y"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("none")}}
	send := func() error {
		_, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: keyless})
		return err
	}
	if err := send(); code(err) != "ValidationException" {
		t.Errorf("a record without a key: %v", err)
	}
	if err := distribute("fixed", types.RecordDistributionStrategyAuto); code(err) != "InvalidArgumentException" {
		t.Errorf("AUTO on a provisioned stream: %v", err)
	}
	if err := distribute(streamName, types.RecordDistributionStrategyAuto); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Split(streamName, "shardId-000000000000"); err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Counts() {
		if n.Stream == streamName && !n.Closed && n.Records != 5 && n.ID < "shardId-000000000004" {
			t.Errorf("%s took %d records, want 5", n.ID, n.Records)
		}
	}
	if d := describe(); d.RecordDistributionStrategy != types.RecordDistributionStrategyAuto || *d.OpenShardCount != 5 {
		t.Errorf("summary %+v", d)
	}
}
