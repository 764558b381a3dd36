package replay

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/object"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// search reads a stage for one record.
type search struct {
	*explainer
	store  object.Store
	within []string   // prefixes of keys that are another stage's
	place  *partition // nil: anywhere
	rules  *generate.Comparer
	class  uint32    // the first event of the record's class in this stage
	newest time.Time // object, or the end of the push
	size   uint64
	read   atomic.Uint64

	mu  sync.Mutex
	out StageLife
}

// stage looks for the record's rows in one stage. The error is that of ctx.
func (e *explainer) stage(ctx context.Context, name string, paths map[string]string) (StageLife, error) {
	s := &search{explainer: e, out: StageLife{Name: name, Path: paths[name], Rows: []RowLife{}}, newest: e.res.Ledger.Ended}
	s.within = within(paths, name)
	s.rules = e.res.rules(name)
	s.class = s.rules.Class(e.id.User, e.id.Event)
	s.out.Alike = s.rules.Multiplicity(e.id.User, s.class)
	s.place = e.res.place(name)
	read := s.run
	if name == streamStage {
		read = s.stream
	}
	if err := read(ctx); err != nil {
		s.out.Err = err.Error()
	} else {
		s.out.State = s.state()
	}
	slices.SortFunc(s.out.Rows, func(a, b RowLife) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Offset, b.Offset))
	})
	return s.out, context.Cause(ctx)
}

// began is the earliest time at which the pipeline may have written for this run.
func (s *search) began() time.Time { return s.res.Ledger.Manifest.Started.Add(-clockSkew) }

// run reads every object that is not older than the run: what was complete
// before it began holds nothing of it. Partitions do not bound it, for a row may
// be misplaced.
func (s *search) run(ctx context.Context) error {
	store, closer, err := s.cfg.Open(ctx, s.out.Path)
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	s.store = store
	for info, err := range store.List(ctx, "") {
		switch {
		case err != nil:
			return err
		case elsewhere(s.within, info.Key):
			continue
		case info.Modified.Before(s.began()):
			s.out.Older++
			continue
		}
		s.out.Objects++
		s.size += uint64(info.Size)
	}
	stop := watch(ctx, s.cfg.Observe, func() Progress { return Progress{Phase: PhaseVerify, Done: s.read.Load(), Total: s.size} })
	defer stop()
	return lake.Objects(ctx, store, "", max(s.cfg.Workers, defaultWorkers), func(ctx context.Context, info object.Info) error {
		if elsewhere(s.within, info.Key) || info.Modified.Before(s.began()) {
			return nil
		}
		defer s.read.Add(uint64(info.Size))
		return s.object(ctx, info)
	})
}

// stream reads the run's streams back, all of what came since it began.
func (s *search) stream(ctx context.Context) error {
	if s.cfg.Tail == nil {
		return errNoTail
	}
	m := s.res.Ledger.Manifest
	names, err := s.res.streamsIn(s.out.Path)
	if err != nil {
		return err
	}
	tail, closer, err := s.cfg.Tail(ctx, Tailing{Streams: names, Endpoint: m.Endpoint, Since: m.Started, Share: s.res.Job.readShare()})
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	tip, err := tail.Read(ctx, func(e stream.Entry) error {
		data := bytes.TrimSuffix(e.Data, []byte("\n"))
		if row, ok := s.row(data, generate.AsSent, new(generate.Scratch), new(bool)); ok {
			row.Object, row.Sequence, row.Modified = e.Stream+"/"+e.Shard, e.Sequence, e.Arrived.UTC()
			s.keep(row)
		}
		return nil
	})
	s.out.Objects = tip.Shards
	return err
}

func (s *search) object(ctx context.Context, info object.Info) error {
	scratch, said, ours := new(generate.Scratch), s.res.Job.stage(s.out.Name), false
	defer func() {
		if ours {
			s.came(info.Modified)
		}
	}()
	look := func(r lake.Row, reason string) {
		if row, ok := s.row(r.Data, formOf(said, r), scratch, &ours); ok {
			row.Reason = reason
			s.found(info, r, row)
		}
	}
	owner := s.res.owner(s.out.Name)
	damage := func(d lake.Damage) error {
		if foreign, _ := owner.of(d); foreign && s.out.Name != errorStage {
			return nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.out.Damaged++
		ours = true
		return nil
	}
	if s.out.Name == errorStage {
		_, err := lake.Rejections(ctx, s.store, info.Key, func(r lake.Rejection) error { look(r.Row, why(r)); return nil }, damage)
		return err
	}
	row := func(r lake.Row) error { look(r, ""); return nil }
	if said := s.res.Job.stage(s.out.Name); said.Payload != "" {
		row = owner.within(lake.Wrap{Path: said.Payload, Base64: said.Base64}.Rows(ctx, row, damage))
	}
	_, err := lake.Sweep{Format: s.res.Job.format(s.out.Name), Row: row, Damage: damage, Unread: owner.unread}.Scan(ctx, s.store, info.Key)
	return err
}

// came notes when an object came that holds rows of the run, or damage: others' say
// nothing of whether the stage is quiet.
func (s *search) came(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.After(s.newest) {
		s.newest = at
	}
}

// row says how a row differs from the record, if it is one of its own. It sets ours
// if the row is of the run.
func (s *search) row(data []byte, form generate.Form, scratch *generate.Scratch, ours *bool) (row RowLife, ok bool) {
	m := s.rules.Identify(data, form, scratch)
	*ours = *ours || m.Kind != generate.Foreign
	if m.Kind != generate.Planned || m.User != s.id.User || m.Event != s.class {
		return RowLife{}, false
	}
	row = RowLife{Intact: m.Intact, Bytes: len(data)}
	if !m.Intact {
		row.Changes = s.rules.Changes(s.id.User, s.id.Event, data, form, scratch)
	}
	return row, true
}

func (s *search) found(info object.Info, r lake.Row, row RowLife) {
	row.Object, row.Offset, row.Modified = r.Object, r.Offset, info.Modified.UTC()
	row.Misplaced = s.place.spot(info.Key, s.res.Ledger.Manifest.Started, info.Modified).wrong(s.id.User, s.class) != ""
	s.keep(row)
}

func (s *search) keep(row RowLife) {
	if sent := s.life.Ledger.Sent; sent != nil && s.out.Alike == 1 {
		ms := row.Modified.UnixMilli() - sent.UnixMilli()
		row.LagMS = &ms
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out.Rows) == MaxRows {
		s.out.More++
		return
	}
	s.out.Rows = append(s.out.Rows, row)
}

// state is the record's state in the stage as read (law 4). Records alike share
// their rows: only where each has one, or none has any, is theirs known.
func (s *search) state() string {
	intact, alike := 0, s.out.Alike
	for _, r := range s.out.Rows {
		if r.Intact {
			intact++
		}
	}
	switch rows := len(s.out.Rows); {
	case s.out.Name == errorStage:
		if rows > 0 {
			return "rejected"
		}
		return ""
	case intact >= alike:
		return "delivered"
	case rows > 0 && alike > 1:
		return ""
	case rows > 0:
		return "mutated"
	case s.rejected && s.out.Name != streamStage:
		return "rejected"
	}
	switch s.life.Ledger.Fate {
	case record.Acked.String():
		quiet := cmp.Or(s.cfg.Quiet, s.res.Job.Scenario.Settle.Quiet)
		if s.out.Name == streamStage {
			quiet = min(quiet, streamQuiet)
		}
		if time.Since(s.newest) < quiet {
			return "in flight"
		}
		return "missing"
	case record.Unknown.String():
		return "undecided"
	}
	return "absent"
}
