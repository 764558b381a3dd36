package fleet

import (
	"fmt"
	"time"
)

// Share is the member's part of a budget that is a whole number, such as records
// a second. The parts of all members add up to total and differ by one at most.
// 0 is no limit, and stays so; a budget that leaves a member nothing is an error
// of all of them, for that member would have no limit at all.
func (m Member) Share(what string, total uint64) (uint64, error) {
	if total == 0 || m.Of <= 1 {
		return total, nil
	}
	if total < m.Of {
		return 0, fmt.Errorf("%s %d cannot be divided among %d workers; raise it, or start at most %d", what, total, m.Of, total)
	}
	part, rest := total/m.Of, total%m.Of
	if m.Index <= rest {
		part++
	}
	return part, nil
}

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
