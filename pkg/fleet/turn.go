package fleet

import (
	"fmt"
	"time"
)

// Calls that describe a stream have low limits for a whole account:
// DescribeStreamSummary 20 a second (kinesis v1.56.12,
// api_op_DescribeStreamSummary.go), ListTagsForStream 5 (Kinesis Data Streams
// service quotas). Workers that start together would all be throttled.
const (
	describeEvery = 250 * time.Millisecond
	describeMost  = 2 * time.Minute // the last worker waits no longer
)

// Describe is how long the member waits before it describes the stream: the
// members take turns.
func (m Member) Describe() time.Duration {
	if m.Of <= 1 {
		return 0
	}
	step := min(describeEvery, describeMost/time.Duration(m.Of))
	return time.Duration(m.Index-1) * step
}

// Name is what the member's run directory is called below that of the run.
func (m Member) Name() string { return fmt.Sprintf("worker-%d", m.Index) }
