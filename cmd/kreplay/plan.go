package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kreplay/pkg/generate"
	"kreplay/pkg/report"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// localShards is how many shards the embedded stream of run --local has.
const localShards = 4

type planner struct {
	app      *app
	src      sourceFlags
	stream   string
	shards   int
	onDemand bool
	id       string
	anchor   string
	prices   string
	json     bool
}

func (a *app) planCommand() *cobra.Command {
	p := &planner{app: a}
	c := &cobra.Command{
		Use: "plan SCENARIO", Short: "Forecast a run without sending it: records, time, load of each shard, cost",
		Long: `Make every record of a run without sending it, and say what it comes to: records, bytes,
time, the load of each shard by the records' real keys, the keys that heat the hottest
one, the values that the expectations want, and an estimate of the cost.

Ids, and with them shards, follow from the run id: pass the same --run-id to run or push
to send exactly what was forecast.`,
		Example: "  kreplay plan smoke --shards 4\n  kreplay plan smoke --users 1000000 --stream actions-staging --region eu-west-1",
		Args:    one("scenario"),
		RunE:    p.run,
	}
	p.src.add(c)
	p.src.addRate(c)
	f := c.Flags()
	f.StringVar(&p.stream, "stream", "", "ask this stream for its shards; with {log_type} in it, those of the log types")
	f.IntVar(&p.shards, "shards", localShards, "or: new streams with so many shards each")
	f.BoolVar(&p.onDemand, "on-demand", false, "new streams are charged on demand")
	f.StringVar(&p.id, "run-id", "", "id of the run that is forecast (default: a fresh one)")
	f.StringVar(&p.anchor, "anchor", "", "event time of the first user's first event, RFC 3339")
	f.StringVar(&p.prices, "prices", "", "JSON file of prices in place of the shipped one")
	f.BoolVar(&p.json, "json", false, "print JSON")
	return c
}

func (p *planner) run(c *cobra.Command, args []string) error {
	since, err := parseAnchor(p.anchor)
	if err != nil {
		return err
	}
	prices, err := p.readPrices()
	if err != nil {
		return err
	}
	job, err := p.src.sendable(c, args[0])
	if err != nil {
		return err
	}
	if p.id == "" {
		p.id = replay.NewRunID(time.Now())
	}
	plan, err := job.Start(generate.Run{ID: p.id, Anchor: since}, time.Now())
	if err != nil {
		return err
	}
	names, of, err := streams(job, cmp.Or(p.stream, job.Scenario.Stream.Name, "kreplay"))
	if err != nil {
		return err
	}
	shards, err := p.openShards(c.Context(), names)
	if err != nil {
		return err
	}
	f, err := replay.Predict(c.Context(), plan, job.Scenario.Stream.Limits, replay.PredictConfig{
		Streams: shards, Of: of, Limited: true, Observe: p.app.observer(),
	})
	if err != nil {
		return err
	}
	wants, err := job.Wants(plan)
	if err != nil {
		return err
	}
	if p.json {
		return p.printJSON(plan, f, f.Cost(prices), wants)
	}
	return p.print(plan, f, prices, wants)
}

func (p *planner) readPrices() (replay.Prices, error) {
	if p.prices == "" {
		return replay.ListPrices()
	}
	text, err := os.ReadFile(p.prices)
	if err != nil {
		return replay.Prices{}, usagef("--prices: %v", err)
	}
	prices, err := replay.ParsePrices(text)
	if err != nil {
		return prices, usagef("--prices %s: %v", p.prices, err)
	}
	return prices, nil
}

// openShards are the shards of the streams that are named, or of new ones.
func (p *planner) openShards(ctx context.Context, names []string) (list []replay.StreamShards, err error) {
	if p.stream == "" {
		if p.shards < 1 {
			return nil, usagef("--shards %d: a stream has at least one", p.shards)
		}
		even, err := stream.EvenMap(p.shards)
		for _, name := range names {
			list = append(list, replay.StreamShards{Name: name, Shards: even, OnDemand: p.onDemand})
		}
		return list, err
	}
	cfg, err := p.app.awsConfig(ctx, p.app.kinesisEndpoint())
	if err != nil {
		return nil, err
	}
	client := kinesis.New(cfg, p.stream, kinesis.Options{})
	defer client.Close()
	doors, faults := make([]*door, len(names)), []error(nil)
	for i, name := range names {
		doors[i] = &door{name: name, client: client.Of(name)}
		doors[i].info, err = doors[i].client.Describe(ctx)
		faults = append(faults, err)
		if err != nil && !errors.Is(err, kinesis.ErrNoStream) && !errors.Is(err, kinesis.ErrDenied) {
			break // the next one fails alike
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return shardsOf(ctx, doors)
}

func (p *planner) print(plan *generate.Plan, f *replay.Forecast, prices replay.Prices, wants []replay.Wanted) error {
	w := p.app.stdout
	fmt.Fprintf(w, "%s records of %s users, %s bytes, in at least %s requests\n", report.Count(f.Records), report.Count(plan.Users), report.Count(f.Bytes), report.Count(f.Requests))
	if plan.Paced() {
		fmt.Fprintf(w, "the schedule takes %s\n", f.Scheduled.Round(time.Millisecond))
	}
	fmt.Fprintf(w, "at least %s on the wall, at most %s records/s\n\n", f.Wall.Round(time.Millisecond), report.Count(uint64(float64(f.Records)/max(f.Wall.Seconds(), 0.001))))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "records\tbytes\tshare\tpeak records/s\tpeak bytes/s\t  shard")
	for i, s := range f.Shards {
		note := ""
		if i == f.Hottest && len(f.Shards) > 1 {
			note = "  the hottest"
		}
		if len(f.Streams) > 1 {
			s.ID = s.Stream + "/" + s.ID
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f %%\t%s\t%s\t  %s%s\n", report.Count(s.Records), report.Count(s.Bytes), 100*float64(s.Records)/float64(f.Records),
			peak(s.PeakRecords), peak(s.PeakBytes), s.ID, note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nheaviest partition keys of the hottest shard:")
	for _, k := range f.Keys {
		fmt.Fprintf(w, "  %-40q %s records, %s bytes\n", k.Key, report.Count(k.Records), report.Count(k.Bytes))
	}
	if len(wants) > 0 {
		fmt.Fprintln(w, "\nexpected values:")
	}
	for _, q := range wants {
		fmt.Fprintf(w, "  %-24s %s = %s\n", q.Name, q.Equals, q.Value)
	}
	cost := f.Cost(prices)
	fmt.Fprintf(w, "\nabout %.2f USD: %.2f for the stream, %.2f for delivery (prices of %s, %s: %s)\n", cost.Total(), cost.Stream, cost.Delivery, prices.Region, prices.Date, prices.Note)
	_, err := fmt.Fprintf(w, "send exactly this: --run-id %s --anchor %s\n", p.id, plan.Anchor.Format(time.RFC3339Nano))
	return err
}

func peak(n uint64) string {
	if n == 0 {
		return "-"
	}
	return report.Count(n)
}

// printJSON prints the forecast with stable keys: sizes in bytes, times in ms.
func (p *planner) printJSON(plan *generate.Plan, f *replay.Forecast, cost replay.Cost, wants []replay.Wanted) error {
	type part struct {
		Name     string `json:"name"`
		Records  uint64 `json:"records"`
		Bytes    uint64 `json:"bytes"`
		Requests uint64 `json:"requests"`
	}
	type shard struct {
		Stream      string `json:"stream,omitempty"`
		ID          string `json:"id"`
		Records     uint64 `json:"records"`
		Bytes       uint64 `json:"bytes"`
		PeakRecords uint64 `json:"peak_records"`
		PeakBytes   uint64 `json:"peak_bytes"`
	}
	type wanted struct {
		Name   string `json:"name"`
		Equals string `json:"equals"`
		Value  string `json:"value"`
	}
	out := struct {
		Run       string    `json:"run"`
		Anchor    time.Time `json:"anchor"`
		Users     uint64    `json:"users"`
		Records   uint64    `json:"records"`
		Bytes     uint64    `json:"bytes"`
		Requests  uint64    `json:"requests"`
		Scheduled int64     `json:"scheduled_ms"`
		Wall      int64     `json:"wall_ms"`
		Streams   []part    `json:"streams,omitempty"` // where there are several
		Shards    []shard   `json:"shards"`
		USD       float64   `json:"usd"`
		Expected  []wanted  `json:"expected"`
	}{p.id, plan.Anchor, plan.Users, f.Records, f.Bytes, f.Requests, f.Scheduled.Milliseconds(), f.Wall.Milliseconds(), nil, []shard{}, cost.Total(), []wanted{}}
	for _, q := range wants {
		out.Expected = append(out.Expected, wanted(q))
	}
	for _, s := range f.Streams {
		if len(f.Streams) > 1 {
			out.Streams = append(out.Streams, part{s.Name, s.Records, s.Bytes, s.Requests})
		}
	}
	for _, s := range f.Shards {
		if len(f.Streams) == 1 {
			s.Stream = ""
		}
		out.Shards = append(out.Shards, shard{s.Stream, s.ID, s.Records, s.Bytes, s.PeakRecords, s.PeakBytes})
	}
	e := json.NewEncoder(p.app.stdout)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
