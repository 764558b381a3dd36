package replay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/object"
	"kreplay/pkg/record"
)

// search reads a stage for one record.
type search struct {
	*explainer
	store       object.Store
	place       partition
	partitioned bool
	class       uint32    // the first event that renders like the record
	newest      time.Time // object, or the end of the push
	size        uint64
	read        atomic.Uint64

	mu  sync.Mutex
	out StageLife
}

// stage looks for the record's rows in one stage. The error is that of ctx.
func (e *explainer) stage(ctx context.Context, name, path string) (StageLife, error) {
	s := &search{explainer: e, out: StageLife{Name: name, Path: path, Rows: []RowLife{}}, newest: e.res.Ledger.Ended}
	s.class = uint32(e.res.Plan.Cohort(e.id.User).Program.Class[e.id.Event])
	if p := e.res.Job.partition(name); p != "" {
		s.partitioned, s.place = true, newPartition(p)
	}
	if err := s.run(ctx); err != nil {
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
		if err != nil {
			return err
		}
		if info.Modified.Before(s.began()) {
			s.out.Older++
			continue
		}
		s.out.Objects++
		s.size += uint64(info.Size)
		if info.Modified.After(s.newest) {
			s.newest = info.Modified
		}
	}
	stop := watch(ctx, s.cfg.Observe, func() Progress { return Progress{Phase: PhaseVerify, Done: s.read.Load(), Total: s.size} })
	defer stop()
	return lake.Objects(ctx, store, "", max(s.cfg.Workers, defaultWorkers), func(ctx context.Context, info object.Info) error {
		if info.Modified.Before(s.began()) {
			return nil
		}
		defer s.read.Add(uint64(info.Size))
		return s.object(ctx, info)
	})
}

func (s *search) object(ctx context.Context, info object.Info) error {
	scratch := new(generate.Scratch)
	want := bytes.TrimSuffix([]byte(s.life.Planned.Data), []byte("\n"))
	row := func(r lake.Row) error {
		data, reason := r.Data, ""
		if s.out.Name == errorStage {
			data, reason = rejected(r.Data)
		}
		m := s.res.Plan.Identify(data, scratch)
		if m.Kind == generate.Planned && m.User == s.id.User && m.Event == s.class {
			s.found(info, r, RowLife{Intact: m.Intact, Bytes: len(data), Reason: reason, Changes: generate.Changes(want, data)})
		}
		return nil
	}
	damage := func(lake.Damage) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.out.Damaged++
		return nil
	}
	_, err := lake.Scan(ctx, s.store, info.Key, row, damage)
	return err
}

func (s *search) found(info object.Info, r lake.Row, row RowLife) {
	row.Object, row.Offset, row.Modified = r.Object, r.Offset, info.Modified.UTC()
	row.Misplaced = s.partitioned && !s.place.holds(info.Key, s.began(), info.Modified.Add(clockSkew))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out.Rows) == MaxRows {
		s.out.More++
		return
	}
	s.out.Rows = append(s.out.Rows, row)
}

// rejected returns the record that an error record of Firehose holds, and why it
// was rejected; a row that is none is returned as it is.
// https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html
func rejected(row []byte) (data []byte, reason string) {
	raw := gjson.GetBytes(row, "rawData")
	data, err := base64.StdEncoding.DecodeString(raw.Str)
	if err != nil || raw.Str == "" {
		return row, ""
	}
	var why []string
	for _, key := range [...]string{"errorCode", "lastErrorCode", "errorMessage", "lastErrorMessage"} { // of a transform, of a conversion
		if text := gjson.GetBytes(row, key).String(); text != "" {
			why = append(why, text)
		}
	}
	return bytes.TrimRight(data, "\r\n"), strings.Join(why, ": ")
}

// state is the record's state in the stage as read (law 4). Records alike share
// their rows: only where each has one, or none has any, is theirs known.
func (s *search) state() string {
	intact, alike := 0, s.life.Planned.Alike
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
	case s.rejected:
		return "rejected"
	}
	switch s.life.Ledger.Fate {
	case record.Acked.String():
		if time.Since(s.newest) < cmp.Or(s.cfg.Quiet, s.res.Job.Scenario.Settle.Quiet) {
			return "in flight"
		}
		return "missing"
	case record.Unknown.String():
		return "undecided"
	}
	return "absent"
}
