package kinesis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/stream"
)

// Info is what is known of a stream.
type Info struct {
	Name, ARN, Status string
	Mode              string // PROVISIONED or ON_DEMAND
	Distribution      string // AUTO: the service spreads records, not their keys; USER_PARTITION_KEY; empty when provisioned
	Encryption        string // NONE or KMS
	OpenShards        int
	MaxRecordBytes    int           // data and key of a record
	WarmMiBps         int           // MiB/s that are warm for writing; 0: the service does not say
	WarmTargetMiBps   int           // MiB/s that they are on the way to
	Retention         time.Duration // how long records are kept; 0: the service does not say
	Created           time.Time     // zero: the service does not say
	Tags              map[string]string
}

// Auto says that the service spreads records over shards as it likes: keys
// predict no shard, and only the stream's limits as a whole count.
func (i Info) Auto() bool { return i.Distribution == string(types.RecordDistributionStrategyAuto) }

// String says what matters to who sends, as in "on_demand, active, open shards 4,
// records of 1024 KiB at most, 4 MiB/s warm".
func (i Info) String() string {
	list := []string{strings.ToLower(i.Mode), strings.ToLower(i.Status), fmt.Sprintf("open shards %d", i.OpenShards), fmt.Sprintf("records of %d KiB at most", i.MaxRecordBytes>>10)}
	if i.Auto() {
		list = append(list, "spread by the service")
	}
	if i.Encryption != string(types.EncryptionTypeNone) {
		list = append(list, "encrypted with "+i.Encryption)
	}
	if i.WarmMiBps > 0 {
		list = append(list, fmt.Sprintf("%d MiB/s warm", i.WarmMiBps))
	}
	if i.WarmTargetMiBps > i.WarmMiBps {
		list = append(list, fmt.Sprintf("%d on the way", i.WarmTargetMiBps))
	}
	return strings.Join(list, ", ")
}

// defaultRecordKiB is the limit where a stream does not say
// (aws-sdk-go-v2 kinesis v1.56.12, api_op_UpdateMaxRecordSize.go).
const defaultRecordKiB = 1024

// Describe reads the stream's settings and tags.
func (c *Client) Describe(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	info, err := c.summary(ctx)
	if err != nil {
		return Info{}, err
	}
	info.Tags, err = c.tags(ctx)
	return info, err
}

// summary reads the stream's settings.
func (c *Client) summary(ctx context.Context) (Info, error) {
	var res *sdk.DescribeStreamSummaryOutput
	err := c.read(ctx, func(again func(*sdk.Options)) (err error) {
		res, err = c.api.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: &c.stream}, again)
		return err
	})
	if err != nil {
		return Info{}, err
	}
	d := res.StreamDescriptionSummary
	if d == nil {
		return Info{}, c.explain(errBroken) // not a Kinesis
	}
	info := Info{
		Name: aws.ToString(d.StreamName), ARN: aws.ToString(d.StreamARN), Status: string(d.StreamStatus),
		Mode: string(types.StreamModeProvisioned), Distribution: string(d.RecordDistributionStrategy), Encryption: string(types.EncryptionTypeNone),
		OpenShards: int(aws.ToInt32(d.OpenShardCount)), MaxRecordBytes: defaultRecordKiB << 10,
	}
	if d.StreamModeDetails != nil {
		info.Mode = string(d.StreamModeDetails.StreamMode)
	}
	if d.EncryptionType != "" {
		info.Encryption = string(d.EncryptionType)
	}
	if d.MaxRecordSizeInKiB != nil {
		info.MaxRecordBytes = int(*d.MaxRecordSizeInKiB) << 10
	}
	if w := d.WarmThroughput; w != nil {
		info.WarmMiBps, info.WarmTargetMiBps = int(aws.ToInt32(w.CurrentMiBps)), int(aws.ToInt32(w.TargetMiBps))
	}
	info.Retention = time.Duration(aws.ToInt32(d.RetentionPeriodHours)) * time.Hour
	info.Created = aws.ToTime(d.StreamCreationTimestamp)
	return info, nil
}

func (c *Client) tags(ctx context.Context) (map[string]string, error) {
	tags := map[string]string{}
	in := &sdk.ListTagsForStreamInput{StreamName: &c.stream}
	for {
		var page *sdk.ListTagsForStreamOutput
		err := c.read(ctx, func(again func(*sdk.Options)) (err error) {
			page, err = c.api.ListTagsForStream(ctx, in, again)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tags {
			tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			in.ExclusiveStartTagKey = t.Key
		}
		if !aws.ToBool(page.HasMoreTags) || len(page.Tags) == 0 {
			return tags, nil
		}
	}
}

// Shards lists the open shards, in no order. In the middle of a reshard it may
// see parents beside their children: stream.NewMap notices.
func (c *Client) Shards(ctx context.Context) ([]stream.Shard, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	list, err := c.list(ctx, types.ShardFilter{Type: types.ShardFilterTypeAtLatest})
	if err != nil {
		return nil, err
	}
	var all []stream.Shard
	for _, s := range list {
		if s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil {
			continue // closed: an emulator does not know the filter
		}
		shard, err := shardOf(s)
		if err != nil {
			return nil, c.explain(err)
		}
		all = append(all, shard)
	}
	return all, nil
}

// list lists the shards that a filter keeps, page by page.
func (c *Client) list(ctx context.Context, filter types.ShardFilter) (all []types.Shard, err error) {
	in := &sdk.ListShardsInput{StreamName: &c.stream, ShardFilter: &filter}
	for {
		var page *sdk.ListShardsOutput
		err := c.read(ctx, func(again func(*sdk.Options)) (err error) {
			page, err = c.api.ListShards(ctx, in, again)
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Shards...)
		if aws.ToString(page.NextToken) == "" {
			return all, nil
		}
		in = &sdk.ListShardsInput{NextToken: page.NextToken} // with nothing beside it (api_op_ListShards.go)
	}
}

func shardOf(s types.Shard) (shard stream.Shard, err error) {
	shard.ID = aws.ToString(s.ShardId)
	if s.HashKeyRange == nil {
		return shard, fmt.Errorf("shard %q has no range of hash keys: %w", shard.ID, errBroken)
	}
	if shard.First, err = stream.ParseHashKey(aws.ToString(s.HashKeyRange.StartingHashKey)); err != nil {
		return shard, fmt.Errorf("shard %q: %w: %w", shard.ID, err, errBroken)
	}
	if shard.Last, err = stream.ParseHashKey(aws.ToString(s.HashKeyRange.EndingHashKey)); err != nil {
		return shard, fmt.Errorf("shard %q: %w: %w", shard.ID, err, errBroken)
	}
	return shard, nil
}

// read makes a call that changes nothing, so that the SDK may repeat it when it
// is throttled, and that is made once more when credentials had expired.
func (c *Client) read(ctx context.Context, call func(again func(*sdk.Options)) error) error {
	if err := c.control.Wait(ctx); err != nil {
		return fmt.Errorf("stream %q: %w", c.stream, err)
	}
	again := func(o *sdk.Options) { o.Retryer = retry.NewStandard() }
	for {
		age := c.keys.age()
		err := call(again)
		if err == nil {
			c.keys.accepted()
			return nil
		}
		if !expired(err) || !c.keys.expired(age) {
			return c.explain(err)
		}
	}
}

// Create makes the stream with its tags and waits until it can be written to.
func (c *Client) Create(ctx context.Context, shards int, tags map[string]string) error {
	n := int32(shards)
	if _, err := c.api.CreateStream(ctx, &sdk.CreateStreamInput{StreamName: &c.stream, ShardCount: &n, Tags: tags}); err != nil {
		return c.explain(err)
	}
	for {
		info, err := c.Describe(ctx)
		if err != nil || info.Status == string(types.StreamStatusActive) {
			return err
		}
		t := time.NewTimer(time.Second)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}
