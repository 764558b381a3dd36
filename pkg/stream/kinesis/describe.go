package kinesis

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Info is what is known of a stream.
type Info struct {
	Name, ARN, Status string
	OpenShards        int
	MaxRecordBytes    int // data and key of a record
	Tags              map[string]string
}

// defaultRecordKiB is the limit where a stream does not say
// (aws-sdk-go-v2 kinesis v1.56.12, api_op_UpdateMaxRecordSize.go).
const defaultRecordKiB = 1024

// Describe reads the stream's settings and tags.
func (c *Client) Describe(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	res, err := c.api.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: &c.stream})
	if err != nil {
		return Info{}, c.explain(err)
	}
	d := res.StreamDescriptionSummary
	if d == nil {
		return Info{}, c.explain(errBroken) // not a Kinesis
	}
	info := Info{
		Name: aws.ToString(d.StreamName), ARN: aws.ToString(d.StreamARN), Status: string(d.StreamStatus),
		OpenShards: int(aws.ToInt32(d.OpenShardCount)), MaxRecordBytes: defaultRecordKiB << 10, Tags: map[string]string{},
	}
	if d.MaxRecordSizeInKiB != nil {
		info.MaxRecordBytes = int(*d.MaxRecordSizeInKiB) << 10
	}
	in := &sdk.ListTagsForStreamInput{StreamName: &c.stream}
	for {
		page, err := c.api.ListTagsForStream(ctx, in)
		if err != nil {
			return Info{}, c.explain(err)
		}
		for _, t := range page.Tags {
			info.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			in.ExclusiveStartTagKey = t.Key
		}
		if !aws.ToBool(page.HasMoreTags) || len(page.Tags) == 0 {
			return info, nil
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
