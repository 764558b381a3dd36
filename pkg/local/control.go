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
	shards := onDemandShards
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
	spec := StreamSpec{Name: in.StreamName, Shards: shards, Tags: in.Tags, MaxRecordKiB: in.MaxRecordSizeInKiB, OnDemand: onDemand}
	p.streams[in.StreamName] = p.cfg.newStream(spec, time.Now())
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
			"StreamARN": s.arn(c.region), "StreamName": s.name, "StreamStatus": s.state(),
			"StreamModeDetails": s.mode(), "StreamCreationTimestamp": seconds(s.created),
		})
	}
	out["StreamNames"], out["StreamSummaries"] = names, summaries
	if out["HasMoreStreams"] == true {
		out["NextToken"] = names[len(names)-1]
	}
	return out, nil
}

func (s *stream) mode() map[string]string {
	if s.onDemand {
		return map[string]string{"StreamMode": "ON_DEMAND"}
	}
	return map[string]string{"StreamMode": "PROVISIONED"}
}

func (s *stream) distribution() string {
	if s.auto.Load() {
		return "AUTO"
	}
	return "USER_PARTITION_KEY"
}

func (s *stream) state() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status()
}

// status is what the stream is doing. The caller holds s.mu.
func (s *stream) status() string {
	if time.Now().Before(s.busy) {
		return "UPDATING"
	}
	return "ACTIVE"
}

// description is what both descriptions of a stream say.
func (s *stream) description(region string) map[string]any {
	return map[string]any{
		"StreamARN": s.arn(region), "StreamName": s.name, "StreamStatus": s.state(), "StreamModeDetails": s.mode(),
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
	s.mu.Lock()
	defer s.mu.Unlock()
	d["OpenShardCount"], d["ConsumerCount"] = len(s.open), 0
	if s.onDemand {
		warm := len(s.open) * ShardBytes >> 20 // each is below 1 MiB
		d["RecordDistributionStrategy"] = s.distribution()
		d["WarmThroughput"] = map[string]int{"CurrentMiBps": warm, "TargetMiBps": warm}
	}
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
	d := s.description(c.region)
	d["Shards"], d["HasMoreShards"], _ = s.list(in.ExclusiveStartShardId, limit, shardFilter{})
	return map[string]any{"StreamDescription": d}, nil
}

// after is the index of the first shard after the one named id; "" or unknown:
// the first. The caller holds s.mu.
func (s *stream) after(id string) int {
	if i, ok := s.index(id); ok {
		return i + 1
	}
	return 0
}

// index reads the number in a shard's name. The caller holds s.mu.
func (s *stream) index(id string) (int, bool) {
	digits, ok := strings.CutPrefix(id, "shardId-")
	i, err := strconv.Atoi(digits)
	return i, ok && err == nil && i >= 0 && i < len(s.shards) && s.shards[i].id == id
}

// tokenLife is how long a NextToken and a shard iterator live (API_ListShards, API_GetShardIterator).
const tokenLife = 5 * time.Minute

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
