package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
	"kreplay/pkg/lake/parquet"
	"kreplay/pkg/ledger"
	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
)

// Folders of the copies.
const (
	cleanDir    = "clean"
	doctoredDir = "doctored"
)

// sample copies objects of the stage, byte for byte, with their times. Of those in
// columns it copies the rows, as JSON, into which faults can be planted.
func (t *trial) sample(ctx context.Context) error {
	store, closer, err := t.cfg.Open(ctx, t.stage.Path)
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	list, err := t.draw(ctx, store)
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(t.temp, cleanDir), 0o700); err != nil {
		return err
	}
	left := int64(sampleBytes)
	for _, info := range list {
		if left -= info.Size; left < 0 && t.proof.Objects > 0 {
			continue
		}
		err := t.write(ctx, cleanDir, info, func(w io.Writer) error {
			from, err := store.Open(ctx, info.Key)
			if err != nil {
				return err
			}
			in, format := bufio.NewReader(from), t.res.Job.format(t.stage.Name)
			head, _ := in.Peek(len(parquet.Magic)) // an object that is shorter is no Parquet
			t.columns[info.Key] = format != lake.CSV && string(head) == parquet.Magic
			if format != lake.CSV && !t.columns[info.Key] {
				_, err = io.Copy(w, in)
				return errors.Join(err, from.Close())
			}
			return errors.Join(from.Close(), rewrite(w, true, func(out io.Writer) error { return copyRows(ctx, format, store, info.Key, out) }))
		})
		if err != nil {
			return err
		}
		t.proof.Objects++
	}
	return nil
}

// copyRows writes the rows of an object as lines of JSON.
func copyRows(ctx context.Context, format lake.Format, store object.Store, key string, out io.Writer) error {
	_, err := format.Scan(ctx, store, key, func(r lake.Row) error {
		_, err := out.Write(append(r.Data, '\n'))
		return err
	}, func(lake.Damage) error { return nil }) // of both copies, and of no account
	return err
}

// draw picks objects of the run's time, all equally likely.
func (t *trial) draw(ctx context.Context, store object.Store) (list []object.Info, err error) {
	began := t.res.Ledger.Manifest.Started.Add(-clockSkew)
	for info, err := range store.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		if elsewhere(t.within, info.Key) || info.Modified.Before(began) {
			continue
		}
		t.proof.Of++
		if t.cfg.Objects == 0 || len(list) < t.cfg.Objects {
			list = append(list, info)
		} else if i := t.dice.IntN(t.proof.Of); i < len(list) {
			list[i] = info
		}
	}
	return list, nil
}

// write makes one object of a copy. Its time stays, for misplaced rows are told by it.
func (t *trial) write(ctx context.Context, folder string, info object.Info, fill func(io.Writer) error) error {
	root := filepath.Join(t.temp, folder)
	store, err := dir.Open(root)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	w, err := store.Create(ctx, info.Key)
	if err != nil {
		return err
	}
	defer func() { _ = w.Abort() }()
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.Chtimes(filepath.Join(root, filepath.FromSlash(info.Key)), info.Modified, info.Modified)
}

// eachRow reads a copy's objects one by one, in key order.
func (t *trial) eachRow(ctx context.Context, folder string, open func(object.Info), sweep lake.Sweep) error {
	store, err := dir.Open(filepath.Join(t.temp, folder))
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	for info, err := range store.List(ctx, "") {
		if err != nil {
			return err
		}
		open(info)
		each := sweep
		each.Row = inColumns(t.columns[info.Key], sweep.Row)
		if _, err := each.Scan(ctx, store, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// inColumns takes rows for what they were before they were copied.
func inColumns(columns bool, row func(lake.Row) error) func(lake.Row) error {
	if !columns {
		return row
	}
	return func(r lake.Row) error {
		r.Converted = true
		return row(r)
	}
}

// class names records that render alike: a user, and the first such event.
type class struct{ user, event uint32 }

// sampled is one object of the sample.
type sampled struct {
	object.Info
	rows, planned int
	damaged       int   // unreadable spans, but for the foreign ones
	foreign       int   // of which there are so many
	misplaced     int   // of its planned rows, as it lies
	tail          []tip // its last rows, at most maxTail
}

// tip is a row near an object's end.
type tip struct {
	class
	offset int64
	mine   bool // a record whose ledger is there
	intact bool
	away   int  // 1: it is misplaced
	told   bool // cut short, it says whose it is
}

const maxTail = 3

// candidate is an intact row that a fault may be planted in.
type candidate struct {
	class
	object string
	offset int64
	data   []byte
	form   generate.Form
	away   int // 1: it is misplaced
}

// survey looks at the sample and draws candidates, all rows equally likely.
func (t *trial) survey(ctx context.Context) (objects []*sampled, pool []candidate, err error) {
	scratch, said := new(generate.Scratch), t.res.Job.stage(t.stage.Name)
	var lies *spot
	owner := t.res.owner(t.stage.Name)
	most, seen := 16*t.cfg.Faults, 0
	err = t.eachRow(ctx, cleanDir, func(info object.Info) {
		lies = t.place.spot(info.Key, t.res.Ledger.Manifest.Started, info.Modified)
		objects = append(objects, &sampled{Info: info})
	}, lake.Sweep{Unread: owner.unread, Row: func(r lake.Row) error {
		o := objects[len(objects)-1]
		form := formOf(said, r)
		m := t.rules.Identify(r.Data, form, scratch)
		mine := m.Kind == generate.Planned && t.res.Ledger.of(t.res.Plan, m.User) != nil
		o.rows++
		away := 0
		if m.Kind == generate.Planned {
			o.planned++
			if lies.wrong(m.User, m.Event) != "" {
				away = 1
			}
			o.misplaced += away
		}
		if len(o.tail) == maxTail {
			o.tail = slices.Delete(o.tail, 0, 1)
		}
		at := class{m.User, m.Event}
		owner.unread(cutShort(r.Data))
		foreign, _ := owner.of(lake.Damage{})
		o.tail = append(o.tail, tip{at, r.Offset, mine, m.Intact, away, !foreign})
		if !mine || !m.Intact {
			return nil
		}
		seen++
		if len(pool) < most {
			pool = append(pool, candidate{at, r.Object, r.Offset, bytes.Clone(r.Data), form, away})
		} else if i := t.dice.IntN(seen); i < most {
			pool[i] = candidate{at, r.Object, r.Offset, bytes.Clone(r.Data), form, away}
		}
		return nil
	}, Damage: func(d lake.Damage) error {
		if foreign, _ := owner.of(d); foreign {
			objects[len(objects)-1].foreign++
		} else {
			objects[len(objects)-1].damaged++
		}
		return nil
	}})
	for _, o := range objects {
		t.proof.Rows += uint64(o.rows)
	}
	return objects, pool, err
}

// standing is what the ledger and the sample know of a class.
type standing struct {
	fates           []ledger.Span // of its records
	intact, mutated int           // its rows in the sample
}

// wanted are the classes that a fault may touch.
func (t *trial) wanted(objects []*sampled, pool []candidate) map[class]*standing {
	wanted := map[class]*standing{}
	for _, c := range pool {
		wanted[c.class] = &standing{}
	}
	for _, o := range objects {
		for _, row := range o.tail {
			if row.mine {
				wanted[row.class] = &standing{}
			}
		}
	}
	return wanted
}

// fates gathers what the ledger knows of the wanted classes.
func (t *trial) fates(ctx context.Context, wanted map[class]*standing) error {
	users := map[uint32]bool{}
	for c := range wanted {
		users[c.user] = true
	}
	n := 0
	for step, span := range t.res.Ledger.each(t.res.Plan) {
		if n++; n%(1<<16) == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !users[step.User] {
			continue
		}
		event := t.rules.Class(step.User, step.Event)
		if s := wanted[class{step.User, event}]; s != nil {
			s.fates = append(s.fates, span)
		}
	}
	return nil
}

// count counts the rows of the wanted classes in the sample.
func (t *trial) count(ctx context.Context, wanted map[class]*standing) error {
	scratch, said := new(generate.Scratch), t.res.Job.stage(t.stage.Name)
	return t.eachRow(ctx, cleanDir, func(object.Info) {}, lake.Sweep{Row: func(r lake.Row) error {
		m := t.rules.Identify(r.Data, formOf(said, r), scratch)
		s := wanted[class{m.User, m.Event}]
		switch {
		case m.Kind != generate.Planned || s == nil:
		case m.Intact:
			s.intact++
		default:
			s.mutated++
		}
		return nil
	}, Damage: func(lake.Damage) error { return nil }})
}

// elsewhere is a key of the stage where no object of the run belongs: in a folder
// of another year, or in one that no pattern names. false: it may lie anywhere.
func (t *trial) elsewhere(o *sampled) (key string, ok bool) {
	folder := "kreplay-elsewhere"
	if t.place.bounded() {
		folder = strings.Trim(t.place.at(t.res.Ledger.Manifest.Started.AddDate(-30, 0, 0), slices.Repeat([]string{"elsewhere"}, len(t.place.keys))), "/")
	}
	key = folder + "/" + path.Base(o.Key)
	began := t.res.Ledger.Manifest.Started
	return key, t.place.spot(key, began, o.Modified).look(nil) != ""
}
