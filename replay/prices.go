package replay

import (
	"bytes"
	_ "embed" // prices.json
	"encoding/json"
	"fmt"
	"math"
	"time"

	"kreplay/pkg/scenario"
)

// Prices are USD, of one region on one day.
type Prices struct {
	Date     string  `json:"date"`
	Region   string  `json:"region"`
	Note     string  `json:"note"`
	Shard    float64 `json:"shard_hour"`
	PutUnits float64 `json:"put_units_million"`     // per million units of up to 25 KB of a record
	OnDemand float64 `json:"on_demand_stream_hour"` // on-demand streams, in place of the two above
	GBIn     float64 `json:"on_demand_gb_in"`
	Firehose float64 `json:"firehose_gb"` // delivery, each record rounded up to 5 KB
}

//go:embed prices.json
var listPrices []byte

// ListPrices are those that kreplay ships: dated, and not checked against an invoice.
func ListPrices() (Prices, error) { return ParsePrices(listPrices) }

// ParsePrices reads a price file.
func ParsePrices(text []byte) (p Prices, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("replay: price file: %w", err)
	}
	if _, err := time.Parse(time.DateOnly, p.Date); err != nil || p.Region == "" {
		return p, fmt.Errorf("replay: price file: want a date as in 2026-11-01 and a region, got %q and %q", p.Date, p.Region)
	}
	if min(p.Shard, p.PutUnits, p.OnDemand, p.GBIn, p.Firehose) < 0 {
		return p, fmt.Errorf("replay: price file of %s: a price is negative", p.Date)
	}
	return p, nil
}

// Sizes by which the services round a record up before they charge for it
// (Kinesis and Firehose pricing pages).
const (
	putUnit      = 25_000
	firehoseUnit = 5_000
)

// A Cost is an estimate in USD of what a run adds to the bill.
type Cost struct{ Stream, Delivery float64 }

// CheckSpend refuses a run that is estimated to cost more than guard.spend_usd
// allows, before anything is sent.
func CheckSpend(allowed scenario.Decimal, cost Cost) error {
	if allowed.Digits == 0 {
		return nil
	}
	most := float64(allowed.Digits) / math.Pow10(allowed.Scale)
	if cost.Total() <= most {
		return nil
	}
	return fmt.Errorf("%w: the run is estimated to cost %.4g USD, and guard.spend_usd allows %v; see kreplay plan", ErrGuard, cost.Total(), allowed)
}

// Total is what the run costs in all.
func (c Cost) Total() float64 { return c.Stream + c.Delivery }

// Cost estimates what a run costs on the forecast's streams, which are up for as
// long as the run takes. Storage, reads, queries and requests to S3 are not in it.
func (f *Forecast) Cost(p Prices) Cost {
	hours := f.Wall.Hours()
	c := Cost{Delivery: float64(f.firehoseUnits) * firehoseUnit / 1e9 * p.Firehose}
	for _, s := range f.Streams {
		if s.OnDemand {
			c.Stream += hours*p.OnDemand + float64(s.Bytes)/1e9*p.GBIn
		} else {
			c.Stream += hours*p.Shard*float64(s.Shards.Len()) + float64(s.putUnits)/1e6*p.PutUnits
		}
	}
	return c
}
