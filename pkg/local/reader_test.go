package local_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"pgregory.net/rapid"
)

var one = big.NewInt(1)

func number(text *string) *big.Int {
	n, _ := new(big.Int).SetString(*text, 10)
	return n
}

// shards lists what a filter lists, page by page.
func shards(t testing.TB, c *kinesis.Client, filter types.ShardFilter) (all []types.Shard) {
	t.Helper()
	in := &kinesis.ListShardsInput{StreamName: aws.String(streamName), MaxResults: aws.Int32(3)}
	if filter.Type != "" {
		in.ShardFilter = &filter
	}
	for {
		out, err := c.ListShards(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.Shards...)
		if out.NextToken == nil {
			return all
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(3)}
	}
}

// open lists the open shards by hash, and checks that they cover all hash keys once.
func open(t testing.TB, c *kinesis.Client) []types.Shard {
	t.Helper()
	all := shards(t, c, types.ShardFilter{Type: types.ShardFilterTypeAtLatest})
	slices.SortFunc(all, func(a, b types.Shard) int {
		return number(a.HashKeyRange.StartingHashKey).Cmp(number(b.HashKeyRange.StartingHashKey))
	})
	next := new(big.Int)
	for _, s := range all {
		if number(s.HashKeyRange.StartingHashKey).Cmp(next) != 0 || s.SequenceNumberRange.EndingSequenceNumber != nil {
			t.Fatalf("open shard %s starts at %s, want %s, and is closed at %v", *s.ShardId, *s.HashKeyRange.StartingHashKey, next, s.SequenceNumberRange.EndingSequenceNumber)
		}
		next.Add(number(s.HashKeyRange.EndingHashKey), one)
	}
	if next.Cmp(new(big.Int).Lsh(one, 128)) != 0 {
		t.Fatalf("the last open shard ends below %s", next)
	}
	return all
}

func split(c *kinesis.Client, id string, at *big.Int) error {
	_, err := c.SplitShard(context.Background(), &kinesis.SplitShardInput{StreamName: aws.String(streamName), ShardToSplit: &id, NewStartingHashKey: aws.String(at.String())})
	return err
}

func merge(c *kinesis.Client, a, b string) error {
	_, err := c.MergeShards(context.Background(), &kinesis.MergeShardsInput{StreamName: aws.String(streamName), ShardToMerge: &a, AdjacentShardToMerge: &b})
	return err
}

func resize(c *kinesis.Client, n int) error {
	_, err := c.UpdateShardCount(context.Background(), &kinesis.UpdateShardCountInput{
		StreamName: aws.String(streamName), ScalingType: types.ScalingTypeUniformScaling, TargetShardCount: aws.Int32(int32(n)),
	})
	return err
}

// reader reads a stream as a consumer does: parents to their end, then the
// children that the end names.
type reader struct {
	t     testing.TB
	c     *kinesis.Client
	at    map[string]*string // iterator by shard; nil: read to the end
	seq   map[string]string  // read last
	order []string           // texts as they were read
	owed  map[string]int     // parents of a child that are not at their end
}

func newReader(t testing.TB, c *kinesis.Client) *reader {
	r := &reader{t: t, c: c, at: map[string]*string{}, seq: map[string]string{}, owed: map[string]int{}}
	for _, s := range shards(t, c, types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}) {
		r.begin(*s.ShardId)
	}
	return r
}

func (r *reader) begin(id string) {
	out, err := r.c.GetShardIterator(context.Background(), &kinesis.GetShardIteratorInput{StreamName: aws.String(streamName), ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		r.t.Fatal(err)
	}
	r.at[id] = out.ShardIterator
}

// step reads once from a shard and tells whether there may be more.
func (r *reader) step(id string, limit int) bool {
	if r.at[id] == nil {
		return false
	}
	out, err := r.c.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: r.at[id], Limit: aws.Int32(int32(limit))})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, rec := range out.Records {
		if *rec.SequenceNumber <= r.seq[id] {
			r.t.Fatalf("%s: %s after %s", id, *rec.SequenceNumber, r.seq[id])
		}
		r.seq[id] = *rec.SequenceNumber
		r.order = append(r.order, string(rec.Data))
	}
	r.at[id] = out.NextShardIterator
	if (out.NextShardIterator == nil) != (len(out.ChildShards) > 0) {
		r.t.Fatalf("%s: next iterator %v beside %d children", id, out.NextShardIterator, len(out.ChildShards))
	}
	for _, child := range out.ChildShards {
		if !slices.Contains(child.ParentShards, id) {
			r.t.Fatalf("child %s of %s has the parents %q", *child.ShardId, id, child.ParentShards)
		}
		if _, known := r.owed[*child.ShardId]; !known {
			r.owed[*child.ShardId] = len(child.ParentShards)
		}
		if r.owed[*child.ShardId]--; r.owed[*child.ShardId] == 0 {
			r.begin(*child.ShardId)
		}
	}
	return out.NextShardIterator != nil && *out.MillisBehindLatest > 0
}

// drain reads all there is.
func (r *reader) drain() {
	for before := -1; before < len(r.order)+len(r.at); {
		before = len(r.order) + len(r.at)
		for _, id := range slices.Collect(keys(r.at)) {
			for r.step(id, 1000) {
			}
		}
	}
}

func keys(m map[string]*string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// putKeyed puts some records of few keys and checks their acks.
func putKeyed(rt *rapid.T, t testing.TB, c *kinesis.Client, from int) (texts []string) {
	var recs []types.PutRecordsRequestEntry
	for i := range rapid.IntRange(1, 30).Draw(rt, "n") {
		key := fmt.Sprint(rapid.IntRange(0, 9).Draw(rt, "key"))
		texts = append(texts, fmt.Sprint(key, " ", from+i))
		recs = append(recs, types.PutRecordsRequestEntry{Data: []byte(texts[i]), PartitionKey: &key})
	}
	out, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: recs})
	if err != nil {
		rt.Fatal(err)
	}
	all := open(t, c)
	for i, o := range out.Records {
		sum := md5.Sum([]byte(*recs[i].PartitionKey))
		h := new(big.Int).SetBytes(sum[:])
		k := slices.IndexFunc(all, func(s types.Shard) bool { return aws.ToString(o.ShardId) == *s.ShardId })
		if k < 0 || h.Cmp(number(all[k].HashKeyRange.StartingHashKey)) < 0 || h.Cmp(number(all[k].HashKeyRange.EndingHashKey)) > 0 {
			rt.Fatalf("key %s went to %s, which is closed or holds other hashes", *recs[i].PartitionKey, aws.ToString(o.ShardId))
		}
	}
	return texts
}

// lineage checks the family of all shards: ids count on, a parent ends below
// where its children start, and together they have its range.
func lineage(t testing.TB, c *kinesis.Client) {
	t.Helper()
	byID := map[string]types.Shard{}
	for i, s := range shards(t, c, types.ShardFilter{}) {
		if want := fmt.Sprintf("shardId-%012d", i); *s.ShardId != want {
			t.Fatalf("shard %d is %s, want %s", i, *s.ShardId, want)
		}
		byID[*s.ShardId] = s
		for _, id := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
			if id == nil {
				continue
			}
			end := byID[*id].SequenceNumberRange.EndingSequenceNumber
			if end == nil || *end >= *s.SequenceNumberRange.StartingSequenceNumber {
				t.Errorf("%s starts at %s, its parent %s ends at %v", *s.ShardId, *s.SequenceNumberRange.StartingSequenceNumber, *id, aws.ToString(end))
			}
		}
	}
}

// sameByKey checks that got is want, where only texts of different keys may change places.
func sameByKey(t testing.TB, want, got []string) {
	t.Helper()
	byKey := func(texts []string) map[string][]string {
		m := map[string][]string{}
		for _, s := range texts {
			key, _, _ := strings.Cut(s, " ")
			m[key] = append(m[key], s)
		}
		return m
	}
	w, g := byKey(want), byKey(got)
	for key := range w {
		if !slices.Equal(w[key], g[key]) {
			t.Errorf("key %s: read %q, want %q", key, g[key], w[key])
		}
	}
	if len(want) != len(got) {
		t.Errorf("read %d records, want %d", len(got), len(want))
	}
}
