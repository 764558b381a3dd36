package kinesis

import (
	"context"
	"encoding/hex"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"

	"kreplay/pkg/record"
)

// Pairs implements [stream.Pairer]: two bodies are hashed in less time than one
// by one, where the processor can.
func (c *Client) Pairs() bool { return lockstep }

// Pair implements [stream.Pairer].
func (c *Client) Pair(a, b []record.Record) (putA, putB func(context.Context) ([]record.Outcome, error)) {
	x, y := c.encoded(a), c.encoded(b)
	sumX, sumY := sumPair(x.body.bytes, y.body.bytes)
	x.sum, y.sum = hex.EncodeToString(sumX[:]), hex.EncodeToString(sumY[:])
	return c.putOf(x), c.putOf(y)
}

func (c *Client) encoded(recs []record.Record) *call {
	return &call{recs: recs, body: c.wire.encode(c.input(), recs)}
}

func (c *Client) putOf(k *call) func(context.Context) ([]record.Outcome, error) {
	return func(ctx context.Context) ([]record.Outcome, error) { return c.put(ctx, k) }
}

// signSum has the SDK sign the sum of a body that has been hashed already.
func signSum(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("SumOfPair",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if k := callOf(ctx); k != nil && k.sum != "" {
				ctx = v4.SetPayloadHash(ctx, k.sum)
			}
			return next.HandleFinalize(ctx, in)
		}), "ComputePayloadHash", middleware.Before)
}
