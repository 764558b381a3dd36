package kinesis

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// How far a shard has been read counts from when an answer was asked for: an
// answer that took long to come or to handle has read no further.
func TestCursorNeverClaimsTooMuch(t *testing.T) {
	asked := time.Now().Add(-time.Hour)
	one := []types.Record{{SequenceNumber: aws.String("7")}}
	for _, x := range []struct {
		name   string
		out    sdk.GetRecordsOutput
		behind time.Duration
		last   string
		ended  bool
	}{
		{"tip", sdk.GetRecordsOutput{MillisBehindLatest: aws.Int64(0), NextShardIterator: aws.String("i"), Records: one}, 0, "7", false},
		{"behind", sdk.GetRecordsOutput{MillisBehindLatest: aws.Int64(4000), NextShardIterator: aws.String("i"), Records: one}, 4 * time.Second, "7", false},
		{"an empty page", sdk.GetRecordsOutput{MillisBehindLatest: aws.Int64(4000), NextShardIterator: aws.String("i")}, 4 * time.Second, "6", false},
		{"not told, some", sdk.GetRecordsOutput{NextShardIterator: aws.String("i"), Records: one}, time.Millisecond, "7", false},
		{"not told, none", sdk.GetRecordsOutput{NextShardIterator: aws.String("i")}, 0, "6", false},
		{"the end", sdk.GetRecordsOutput{MillisBehindLatest: aws.Int64(0)}, 0, "6", true},
		{"an empty iterator", sdk.GetRecordsOutput{NextShardIterator: aws.String("")}, 0, "6", true},
	} {
		s := &cursor{last: "6", asked: asked}
		if got := s.advance(&x.out); got != x.behind || s.last != x.last || s.ended != x.ended || !s.read.Equal(asked.Add(-x.behind)) {
			t.Errorf("%s: %v behind, last %s, ended %v, read to %v; want %v, %s, %v, %v", x.name, got, s.last, s.ended, s.read, x.behind, x.last, x.ended, asked.Add(-x.behind))
		}
	}
}

// Waits grow up to a bound; an expired iterator is asked for anew at once, and not at once again and again.
func TestBackoff(t *testing.T) {
	throttled := &smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"}
	s := &cursor{iterator: aws.String("i")}
	for tries := range 100 {
		most := min(firstWait<<min(tries, 10), mostWait)
		if got := s.backoff(throttled, tries); got < most/2 || got > most || s.iterator == nil {
			t.Errorf("try %d: %v, want %v to %v", tries, got, most/2, most)
		}
	}
	expired := &smithy.GenericAPIError{Code: "ExpiredIteratorException"}
	if got := s.backoff(expired, 0); got != 0 || s.iterator != nil {
		t.Errorf("%v, %v; want none, and no iterator", got, s.iterator)
	}
	if got := s.backoff(expired, 1); got == 0 {
		t.Error("no wait when it is expired again")
	}
}
