package report

import (
	"fmt"
	"strings"
	"time"
)

// Lag is how long records took from being sent to their object, in ms.
type Lag struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// LagDetail says what a Lag is of, and how it was over time and by log type.
type LagDetail struct {
	OneIn        uint64       `json:"one_in"`        // records of which one was timed
	Records      uint64       `json:"records"`       // timed, and in the stage
	Waiting      uint64       `json:"waiting"`       // timed, acked and not in the stage yet
	Unsaid       uint64       `json:"unsaid"`        // in the stage, but when they were sent is not known
	Early        uint64       `json:"early"`         // in the stage before they were sent, by clocks that differ; counted as 0
	WholeSeconds bool         `json:"whole_seconds"` // of the objects' times: lags are up to 1 s too short
	Clock        *Clock       `json:"clock"`         // null: not known
	LogTypes     []LogTypeLag `json:"log_types"`
	StepSeconds  float64      `json:"step_seconds"` // between two of sent
	Sent         []StepLag    `json:"sent"`         // by when they were sent
	Visible      *Visible     `json:"visible"`      // null: it is known of no record
}

// Visible is how long records took from being sent until a listing showed their
// object: an upper bound of when it became visible. It is known of objects that came
// while somebody listed the stage.
type Visible struct {
	Records     uint64  `json:"records"` // of which it is known
	MS          Lag     `json:"visible_ms"`
	ListedEvery float64 `json:"listed_every_ms"` // on average
	Within      float64 `json:"within_ms"`       // before it was listed, an object may have been visible for so long at the most
	Listings    uint64  `json:"listings"`
	Calls       uint64  `json:"list_calls"` // of S3, which takes money for them; 0: of a folder
}

// A Clock says how far the stream's clock was ahead of the senders', in ms.
type Clock struct {
	Ahead     float64 `json:"ahead_ms"`
	Off       float64 `json:"off_ms"` // by which Ahead may be off
	Answers   uint64  `json:"answers"`
	Corrected bool    `json:"corrected"` // lags are
}

// A LagPart is the lag of some of the records, in ms.
type LagPart struct {
	Records uint64  `json:"records"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
}

// LogTypeLag is the lag of one log type.
type LogTypeLag struct {
	Name string `json:"name"`
	LagPart
}

// StepLag is the lag of what was sent in a step of time.
type StepLag struct {
	At time.Time `json:"at"`
	LagPart
}

// lag tells the lag of a stage in one line.
func lag(b *strings.Builder, s Stage) {
	if s.Lag == nil {
		return
	}
	fmt.Fprintf(b, "       lag, from being sent to the object: %s at p50, %s at p90, %s at p99, %s at most", took(s.Lag.P50), took(s.Lag.P90), took(s.Lag.P99), took(s.Lag.Max))
	if d := s.LagDetail; d != nil {
		if d.OneIn > 1 {
			fmt.Fprintf(b, "; of 1 in %s records", Count(d.OneIn))
		}
		if d.WholeSeconds {
			b.WriteString("; objects' times are whole seconds: up to 1s more")
		}
		if d.Early > 0 && !d.WholeSeconds {
			fmt.Fprintf(b, "; %s came before they were sent, by the clocks, and count as 0", Count(d.Early))
		}
	}
	b.WriteByte('\n')
	if d := s.LagDetail; d != nil && d.Visible != nil {
		visible(b, *d.Visible, d.Records)
	}
}

// visible tells how long it took until a listing showed the objects.
func visible(b *strings.Builder, v Visible, of uint64) {
	fmt.Fprintf(b, "       visible in a listing: %s at p50, %s at p90, %s at p99, %s at most; ", took(v.MS.P50), took(v.MS.P90), took(v.MS.P99), took(v.MS.Max))
	if v.Records < of {
		fmt.Fprintf(b, "known of %s of %s records; ", Count(v.Records), Count(of))
	}
	fmt.Fprintf(b, "listed every %s, so up to %s less", took(v.ListedEvery), took(v.Within))
	if v.Calls > 0 {
		fmt.Fprintf(b, "; %s LIST calls", Count(v.Calls))
	}
	b.WriteByte('\n')
}

// took writes ms as people do.
func took(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
