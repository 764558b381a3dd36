package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kreplay/pkg/stream"
)

// A cursor is how far a shard has been read. One goroutine at a time has it.
type cursor struct {
	id       string
	first    string    // sequence number with which it begins; "": not known
	iterator *string   // of the next read; nil: one has to be asked for
	last     string    // sequence number read last; "": none
	read     time.Time // what arrived before has been read
	ended    bool      // the shard is closed and read to its end
	asked    time.Time // when the last answer was asked for
	failing  time.Time // since when it has given nothing but errors; zero: it gives
	free     time.Time // when it may be asked again
	followed time.Time // beginning of the Read that follows it
}

// advance takes an answer, and returns how far behind the tip it is. A service
// that does not say so is at its tip when it has nothing. What arrived later than
// so long before the answer was asked for may be unread, and nothing else.
func (s *cursor) advance(out *sdk.GetRecordsOutput) (behind time.Duration) {
	if n := len(out.Records); n > 0 {
		s.last = aws.ToString(out.Records[n-1].SequenceNumber)
		behind = time.Millisecond
	}
	if out.MillisBehindLatest != nil {
		behind = time.Duration(*out.MillisBehindLatest) * time.Millisecond
	}
	s.read = s.asked.Add(-behind)
	s.iterator = out.NextShardIterator
	s.ended = aws.ToString(s.iterator) == ""
	return behind
}

// How long to wait after an error: twice as long after each one, with a random
// part, because the other consumers of the shard wait too.
const (
	firstWait = 200 * time.Millisecond // the time that a shard has for a call
	mostWait  = 5 * time.Second        // the time that a shard is silent after its largest answer
)

// backoff says how long to wait after err. An iterator that has expired is
// asked for anew, at once.
func (s *cursor) backoff(err error, tries int) time.Duration {
	if codeOf(err) == "ExpiredIteratorException" {
		s.iterator = nil
		if tries == 0 {
			return 0
		}
	}
	most := min(firstWait<<min(tries, 10), mostWait)
	return most/2 + rand.N(most/2)
}

// passing is an error of a call that may go well when it is made again.
type passing struct{ error }

func (e passing) Unwrap() error { return e.error }

func passes(err error) bool {
	_, ok := errors.AsType[passing](err)
	return ok
}

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// transient says that a read which failed with err may go well the next time.
// Reading changes nothing, so a lost answer is one of them.
func transient(err error) bool {
	var send *smithyhttp.RequestSendError
	var network net.Error
	code, status := codeOf(err), statusOf(err)
	switch {
	case throttles[code], code == "ExpiredIteratorException", status == http.StatusTooManyRequests, status >= 500:
		return true
	case status >= 400:
		return false
	case errors.Is(err, ErrCredentials):
		return false
	}
	return status != 0 || errors.As(err, &send) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded)
}

// reading is explain for a reader.
func (c *Client) reading(err error) error {
	switch codeOf(err) {
	case "TrimmedDataAccessException":
		return fmt.Errorf("stream %q: %w", c.stream, stream.ErrTrimmed)
	case "AccessDeniedException":
		return fmt.Errorf("stream %q: reading it back is not allowed; the role needs kinesis:DescribeStreamSummary, ListShards, GetShardIterator and GetRecords: %w", c.stream, ErrDenied)
	case "KMSAccessDeniedException":
		return fmt.Errorf("stream %q: its encryption key cannot be used; the role needs kms:Decrypt: %w", c.stream, ErrDenied)
	}
	return c.explain(err)
}
