package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/zap"

	"kreplay/pkg/batch"
	"kreplay/pkg/generate"
	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
	"kreplay/pkg/stream"
	"kreplay/pkg/template"
)

// Streams are the names of the streams that a plan's records go to, in order, and
// which of them each log type goes to, where name stands for one each, as in
// staging-{log_type}; else of is nil, and name is that of one stream for all. All
// names that no stream can have are reported at once.
func Streams(plan *generate.Plan, name string) (names []string, of map[string]int, err error) {
	if !scenario.PerLogType(name) {
		return []string{name}, nil, nil
	}
	types, of, faults := slices.Sorted(slices.Values(plan.LogTypes())), map[string]int{}, []error(nil)
	for i, l := range types {
		stream, err := scenario.StreamOf(name, l)
		names, of[l] = append(names, stream), i
		faults = append(faults, err)
	}
	return names, of, errors.Join(faults...)
}

// badStreams are the log types, also those that nobody plays, of which
// stream.name makes no stream's name.
func badStreams(s scenario.Stream, templates []*template.Template) (faults scenario.Faults) {
	if !scenario.PerLogType(s.Name) {
		return nil
	}
	seen := map[string]bool{}
	for _, t := range templates {
		for _, l := range t.LogTypes {
			if _, err := scenario.StreamOf(s.Name, l.Name); err != nil && !seen[l.Name] {
				faults = append(faults, scenario.Fault{Pos: s.NamePos, Msg: "name: " + err.Error()})
			}
			seen[l.Name] = true
		}
	}
	return faults
}

// A flow is what a push knows of one of its streams.
type flow struct {
	Target
	log     *zap.Logger
	slip    *hdrhistogram.Histogram // µs; nil where there is one stream, whose slip is the push's
	sharded bool                    // the map of shards has been read
	unpaced string                  // why shards are not paced although they were to be
}

// flows are the target's streams by name, and which of them each of the plan's
// log types goes to; nil where there is one for all.
func (t Target) flows(plan *generate.Plan, log *zap.Logger) (list []*flow, of []int, err error) {
	if t.LogTypes == nil {
		return []*flow{{Target: t, log: log.With(zap.String("stream", t.Stream))}}, nil, nil
	}
	byName := map[string]Target{}
	for _, l := range plan.LogTypes() {
		one, ok := t.LogTypes[l]
		if !ok {
			return nil, nil, fmt.Errorf("replay: log type %s has no stream; Target.LogTypes holds those of %v", l, sortedKeys(t.LogTypes))
		}
		byName[one.Stream] = one
	}
	names := slices.Sorted(maps.Keys(byName))
	for _, name := range names {
		list = append(list, &flow{Target: byName[name], log: log.With(zap.String("stream", name)), slip: newHistogram()})
	}
	for _, l := range plan.LogTypes() {
		i, _ := slices.BinarySearch(names, t.LogTypes[l].Stream)
		of = append(of, i)
	}
	return list, of, nil
}

func (t Target) recordBytes() int { return cmp.Or(t.RecordBytes, batch.DefaultRecordBytes) }

// fits refuses a plan with a record that its stream would refuse, before
// anything is sent. The last user has the longest ids.
func (p *push) fits() error {
	var faults scenario.Faults
	for _, c := range p.plan.Cohorts() {
		for event := range c.Events {
			f := p.flows[p.indexOf(c.LogType[event])]
			n := c.Program.MaxSize(event) + 1 + batch.MaxKeyBytes
			if n <= f.recordBytes() {
				continue
			}
			faults = append(faults, scenario.Fault{Pos: c.Program.Events[event].Pos,
				Msg: fmt.Sprintf("a record of about %d bytes with its key is over the limit of stream %s, %d; raise its MaxRecordSizeInKiB or leave the event out", n, f.Stream, f.recordBytes())})
		}
	}
	return faults.Err()
}

// indexOf is the stream of one of the plan's log types.
func (p *push) indexOf(logType uint16) int {
	if p.of == nil {
		return 0
	}
	return p.of[logType]
}

// streamOf is the stream that a record goes to.
func (p *push) streamOf(r *record.Record) int {
	if p.of == nil {
		return 0
	}
	return p.of[p.plan.Cohort(r.ID.User).LogType[r.ID.Event]]
}

// named puts a stream's name before that of its shard, where there are several.
func (p *push) named(stream int, shard string) string {
	if len(p.flows) == 1 || shard == "" {
		return shard
	}
	return p.flows[stream].Stream + "/" + shard
}

// A shardMap is a stream's map of shards, or why it could not be read. The zero
// value is that of a stream whose shards nobody asks for.
type shardMap struct {
	shards *stream.Map
	err    error
}

// readShards reads a stream's map of shards.
func (f *flow) readShards(ctx context.Context) (m shardMap) {
	if f.Shards == nil {
		return m
	}
	shards, err := f.Shards(ctx)
	if err == nil {
		m.shards, err = stream.NewMap(shards) // fails in the middle of a reshard
	}
	switch m.err = err; {
	case ctx.Err() != nil: // nobody needs it any more
	case err != nil:
		f.log.Warn("the map of shards could not be read; what is known of it stays", zap.Error(err))
	default:
		f.log.Debug("the map of shards was read", zap.Int("shards", len(shards)))
	}
	return m
}

// begin starts the schedule, once all maps of shards are read: of many streams
// that takes long, because the service is not asked more often than it likes.
func (p *push) begin(ctx context.Context) {
	maps := make([]shardMap, len(p.flows))
	for i, f := range p.flows {
		maps[i] = f.readShards(ctx)
	}
	p.mu.Lock()
	p.begun = time.Now()
	p.mu.Unlock()
	for i, m := range maps {
		p.route(i, m)
	}
}

// route sends a stream's records where m says. Where it could not be read, what
// is known stays; where nothing is known, only the limits of the whole hold.
func (p *push) route(i int, m shardMap) {
	if m == (shardMap{}) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f, d, err := p.flows[i], p.dispatch.Stream(i), m.err
	if err == nil {
		err = d.Route(m.shards, p.now())
	} else {
		d.Refreshed(p.now())
	}
	switch {
	case err == nil:
		f.unpaced, f.sharded = "", true
	case !f.sharded:
		f.unpaced = err.Error()
	}
	tell(p.wake)
}
