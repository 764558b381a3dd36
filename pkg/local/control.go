package local

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// streamRef names the stream of a request.
type streamRef struct{ StreamName, StreamARN string }

func notFound(name string) *refusal {
	return refuse("ResourceNotFoundException", "Stream %s under account %s not found.", name, account)
}

// find looks a stream up by ARN or name; the ARN wins, its account and region are not looked at.
func (p *Pipeline) find(name, arn string) (*stream, *refusal) {
	if arn != "" {
		_, after, ok := strings.Cut(arn, ":stream/")
		if !ok || !strings.HasPrefix(arn, "arn:aws") {
			return nil, invalid("streamARN", "Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+")
		}
		if name != "" && name != after {
			return nil, refuse("InvalidArgumentException", "StreamARN and StreamName name different streams.")
		}
		name = after
	}
	if name == "" {
		return nil, refuse("InvalidArgumentException", "Either StreamName or StreamARN should be provided.")
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if s := p.streams[name]; s != nil {
		return s, nil
	}
	return nil, notFound(name)
}

func (s *stream) arn(region string) string {
	return "arn:aws:kinesis:" + region + ":" + account + ":stream/" + s.name
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

type createStreamIn struct {
	StreamName         string
	ShardCount         *int
	MaxRecordSizeInKiB int
	StreamModeDetails  *struct{ StreamMode string }
	Tags               map[string]string
}

func (p *Pipeline) createStream(_ call, in *createStreamIn) (any, *refusal) {
	onDemand := in.StreamModeDetails != nil && in.StreamModeDetails.StreamMode == "ON_DEMAND"
	shards := 4 // what an on-demand stream starts with
	switch {
	case !streamName.MatchString(in.StreamName):
		return nil, invalid("streamName", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	case in.ShardCount != nil:
		shards = *in.ShardCount
	case !onDemand:
		return nil, invalid("shardCount", "Member must not be null")
	}
	if shards < 1 {
		return nil, invalid("shardCount", "Member must have value greater than or equal to 1")
	}
	if shards > maxShards {
		return nil, refuse("LimitExceededException", "This request would exceed the shard limit for the account %s in %s. Limit: %d.", account, region, maxShards)
	}
	if k := in.MaxRecordSizeInKiB; k != 0 && (k < MinRecordKiB || k > MaxRecordKiB) {
		return nil, invalid("maxRecordSizeInKiB", fmt.Sprintf("Member must have value between %d and %d", MinRecordKiB, MaxRecordKiB))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams[in.StreamName] != nil {
		return nil, refuse("ResourceInUseException", "Stream %s under account %s already exists.", in.StreamName, account)
	}
	p.streams[in.StreamName] = newStream(StreamSpec{Name: in.StreamName, Shards: shards, Tags: in.Tags, MaxRecordKiB: in.MaxRecordSizeInKiB}, time.Now())
	return nil, nil
}

// deleteStream delivers what the stream still holds: nothing that was acked may vanish.
func (p *Pipeline) deleteStream(c call, in *streamRef) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	s.mu.Lock()
	s.deleted = true
	s.mu.Unlock()
	if p.deliver(c.Context(), s, s.newest()) != nil {
		return nil, failure // still listed: the deliverer goes on trying
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams[s.name] == s {
		delete(p.streams, s.name)
	}
	return nil, nil
}

type listStreamsIn struct {
	ExclusiveStartStreamName, NextToken string
	Limit                               int
}

func (p *Pipeline) listStreams(c call, in *listStreamsIn) (any, *refusal) {
	limit := in.Limit
	if limit == 0 {
		limit = 100 // API_ListStreams
	}
	if limit < 0 {
		return nil, invalid("limit", "Member must have value greater than or equal to 1")
	}
	after := max(in.ExclusiveStartStreamName, in.NextToken) // the token is a name
	all := slices.DeleteFunc(p.sorted(), func(s *stream) bool { return s.name <= after })
	out := map[string]any{"HasMoreStreams": len(all) > limit}
	all = all[:min(limit, len(all))]
	names, summaries := []string{}, []any{}
	for _, s := range all {
		names = append(names, s.name)
		summaries = append(summaries, map[string]any{
			"StreamARN": s.arn(c.region), "StreamName": s.name, "StreamStatus": "ACTIVE",
			"StreamModeDetails": mode, "StreamCreationTimestamp": seconds(s.created),
		})
	}
	out["StreamNames"], out["StreamSummaries"] = names, summaries
	if out["HasMoreStreams"] == true {
		out["NextToken"] = names[len(names)-1]
	}
	return out, nil
}

var mode = map[string]string{"StreamMode": "PROVISIONED"}

// description is what both descriptions of a stream say.
func (s *stream) description(region string) map[string]any {
	return map[string]any{
		"StreamARN": s.arn(region), "StreamName": s.name, "StreamStatus": "ACTIVE", "StreamModeDetails": mode,
		"StreamCreationTimestamp": seconds(s.created), "RetentionPeriodHours": 24, "EncryptionType": "NONE",
		"EnhancedMonitoring": []any{map[string]any{"ShardLevelMetrics": []string{}}},
		"MaxRecordSizeInKiB": s.maxRec >> 10,
	}
}

func (p *Pipeline) describeStreamSummary(c call, in *streamRef) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	d := s.description(c.region)
	d["OpenShardCount"], d["ConsumerCount"] = len(s.starts), 0
	return map[string]any{"StreamDescriptionSummary": d}, nil
}

type describeStreamIn struct {
	streamRef
	ExclusiveStartShardId string
	Limit                 int
}

func (p *Pipeline) describeStream(c call, in *describeStreamIn) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	limit := in.Limit
	if limit < 1 || limit > 100 {
		limit = 100 // API_DescribeStream
	}
	from := s.after(in.ExclusiveStartShardId)
	to := min(from+limit, len(s.shards))
	d := s.description(c.region)
	d["Shards"], d["HasMoreShards"] = s.describe(from, to), to < len(s.shards)
	return map[string]any{"StreamDescription": d}, nil
}

// after is the index of the first shard after the one named id; "" or unknown: the first.
func (s *stream) after(id string) int {
	if i, ok := s.index(id); ok {
		return i + 1
	}
	return 0
}

// index reads the number in a shard's name.
func (s *stream) index(id string) (int, bool) {
	digits, ok := strings.CutPrefix(id, "shardId-")
	i, err := strconv.Atoi(digits)
	return i, ok && err == nil && i >= 0 && i < len(s.shards) && s.shards[i].id == id
}

func (s *stream) describe(from, to int) []any {
	all := []any{}
	for i := from; i < to; i++ {
		all = append(all, map[string]any{
			"ShardId":             s.shards[i].id,
			"HashKeyRange":        map[string]string{"StartingHashKey": s.starts[i].String(), "EndingHashKey": last(s.starts, i).String()},
			"SequenceNumberRange": map[string]string{"StartingSequenceNumber": string(appendSeq(nil, 0))},
		})
	}
	return all
}

type listShardsIn struct {
	streamRef
	NextToken, ExclusiveStartShardId string
	MaxResults                       *int
}

// tokenLife is how long a NextToken and a shard iterator live (API_ListShards, API_GetShardIterator).
const tokenLife = 5 * time.Minute

func (p *Pipeline) listShards(_ call, in *listShardsIn) (any, *refusal) {
	if in.NextToken != "" {
		if in.StreamName != "" || in.ExclusiveStartShardId != "" {
			return nil, refuse("InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
		}
		t, ok := parseToken(in.NextToken)
		if !ok {
			return nil, refuse("InvalidArgumentException", "NextToken is invalid.")
		}
		if t.old() {
			return nil, refuse("ExpiredNextTokenException", "NextToken has expired.")
		}
		in.StreamName, in.ExclusiveStartShardId = t.Stream, t.Shard
	}
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	limit := 1000 // default and maximum (API_ListShards)
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > 10_000 {
		return nil, invalid("maxResults", "Member must have value between 1 and 10000")
	}
	from := s.after(in.ExclusiveStartShardId)
	to := min(from+min(limit, 1000), len(s.shards))
	out := map[string]any{"Shards": s.describe(from, to)}
	if to < len(s.shards) {
		out["NextToken"] = newToken(s, s.shards[to-1].id, 0)
	}
	return out, nil
}

type tagsIn struct {
	streamRef
	Tags                 map[string]string
	TagKeys              []string
	ExclusiveStartTagKey string
	Limit                int
}

func (p *Pipeline) addTags(_ call, in *tagsIn) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.tags, in.Tags)
	return nil, nil
}

func (p *Pipeline) removeTags(_ call, in *tagsIn) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range in.TagKeys {
		delete(s.tags, k)
	}
	return nil, nil
}

func (p *Pipeline) listTags(_ call, in *tagsIn) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := 50 // API_ListTagsForStream
	if in.Limit > 0 {
		limit = min(limit, in.Limit)
	}
	tags, more := []any{}, false
	for _, k := range slices.Sorted(maps.Keys(s.tags)) {
		if k <= in.ExclusiveStartTagKey {
			continue
		}
		if more = len(tags) == limit; more {
			break
		}
		tags = append(tags, map[string]string{"Key": k, "Value": s.tags[k]})
	}
	return map[string]any{"Tags": tags, "HasMoreTags": more}, nil
}
