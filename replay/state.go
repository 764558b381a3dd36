package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/zeebo/xxh3"

	"kreplay/pkg/account"
	"kreplay/pkg/generate"
	"kreplay/pkg/lake"
)

// stateFormat is counted up when a state would be misread.
const stateFormat = 2

// saveEvery is how long a killed verify has read for nothing at the most. Where
// saving takes long, it is done more rarely.
const saveEvery = 30 * time.Second

// state is what verify/<stage>.state begins with, as one line of JSON. What was
// seen and the account follow. It says of what it is, and how far the reading came
// that the rest is the outcome of; found is how much of verify/<stage>.found
// belongs to it.
type state struct {
	Format   int       `json:"format"`
	Run      string    `json:"run"`
	Digest   string    `json:"digest"`
	Stage    string    `json:"stage"`
	Path     string    `json:"path"`
	Settings string    `json:"settings"` // what decides how rows are read and compared
	Since    time.Time `json:"since"`

	Wide     bool         `json:"wide"` // all of the stage was listed
	Newest   time.Time    `json:"newest"`
	Found    int64        `json:"found"`
	FoundSum uint64       `json:"found_sum"`
	Away     uint64       `json:"away"`
	Others   ForeignSpans `json:"others"`
	Errors   errorFound   `json:"errors"`
	SoFar    SoFar        `json:"so_far"`
	Bytes    int64        `json:"bytes"`
	Listed   Listings     `json:"listed"`

	Causes *generate.Causes `json:"causes"`
	Tail   *tailMark        `json:"tail,omitempty"` // of the stage stream

	Judged *judgement `json:"judged,omitempty"` // as it may have been judged on fewer rows
}

// stamp is the state of a stage of which nothing was read.
func (v *verifier) stamp() state {
	m := v.res.Ledger.Manifest
	return state{
		Format: stateFormat, Run: m.Run, Digest: m.Digest, Stage: v.stage.Name, Path: v.stage.Path,
		Settings: fmt.Sprintf("%+v", v.res.Job.stage(v.stage.Name)), Since: v.since().UTC(),
	}
}

func (v *verifier) statePath() string {
	return filepath.Join(v.cfg.Dir, findingsDir, v.stage.Name+stateSuffix)
}

// save writes the state as a whole. Nothing is read meanwhile.
func (v *verifier) save() error {
	began := time.Now()
	defer func() { v.next = time.Now().Add(max(saveEvery, 20*time.Since(began))) }()
	s := v.stamp()
	v.source.fill(&s)
	s.Away, s.Errors, s.SoFar, s.Bytes, s.Causes = v.away.Load(), v.errs.load(), v.soFar.load(), v.bytes.Load(), v.cause
	s.Others, s.Judged = v.others.load(), v.judged
	var err error
	if s.Found, s.FoundSum, err = v.found.sync(); err != nil {
		return err
	}
	path := v.statePath()
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-state-")
	if err != nil {
		return fmt.Errorf("replay: state: %w", err)
	}
	buf := bufio.NewWriterSize(f, 1<<18)
	text, err := json.Marshal(s)
	if err == nil {
		_, err = fmt.Fprintf(buf, "%s %016x\n", text, xxh3.Hash(text))
	}
	if err == nil {
		err = v.source.save(buf)
	}
	if err == nil && v.stage.Name == errorStage {
		err = v.rejects.Save(buf)
	} else if err == nil {
		err = v.acc.Save(buf)
	}
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replay: state: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// errUnfit says why a state is not gone on from.
var errUnfit = errors.New("its account was started afresh")

// resume goes on from what an earlier verify has left, unless nothing is kept. A
// state that does not fit is no error; the note says why.
func (v *verifier) resume(ctx context.Context) error {
	v.next = time.Now().Add(saveEvery)
	if !v.kept || v.cfg.Afresh || v.unread() {
		return v.clear()
	}
	if v.found.private {
		v.note("another verify of the run is at work: what it has read is not used, and nothing is kept for the next one")
		return nil
	}
	if v.ask != nil && v.res.asked.queries(v.stage.Name) > 0 { // their rows were not kept
		return v.clear()
	}
	err := v.load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return v.clear()
	case errors.Is(err, errUnfit), errors.Is(err, account.ErrState), errors.Is(err, lake.ErrSeen):
		v.note("what an earlier verify had read is not used: %v", err)
		v.source.forget()
		return v.begin(ctx)
	case err != nil:
		return err
	}
	v.note("%s", v.source.restored())
	if v.ask == nil {
		return nil
	}
	v.rests = true
	return v.dismiss()
}

// due says whether the account is to be saved now.
func (v *verifier) due() bool { return !v.found.private && !time.Now().Before(v.next) }

// leave saves the account for the next verify.
func (v *verifier) leave() error {
	if !v.kept || v.unread() || v.found.private || !v.source.kept() {
		return nil
	}
	return v.save()
}

// load reads the state; on an error some of it may be loaded.
func (v *verifier) load() error {
	f, err := os.Open(v.statePath())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	buf := bufio.NewReaderSize(f, 1<<18)
	s := state{Causes: new(generate.Causes)}
	line, _ := buf.ReadBytes('\n')
	text, sum, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("} "))
	if text = append(text, '}'); string(sum) != fmt.Sprintf("%016x", xxh3.Hash(text)) || json.Unmarshal(text, &s) != nil {
		return fmt.Errorf("%w: its first line is damaged", errUnfit)
	}
	if err := v.fits(s); err != nil {
		return err
	}
	if err := v.source.restore(buf); err != nil {
		return err
	}
	if err := v.restore(buf); err != nil {
		return err
	}
	if err := v.found.keep(s.Found, s.FoundSum); err != nil {
		return err
	}
	if err := v.source.goOn(s); err != nil {
		return err
	}
	v.away.Store(s.Away)
	v.others.store(s.Others)
	v.errs.store(s.Errors)
	v.soFar.store(s.SoFar)
	v.bytes.Store(s.Bytes)
	v.cause, v.judged = s.Causes, s.Judged
	if o, ok := v.source.(*objects); ok {
		v.objects.Store(int64(o.seen.Len()))
	}
	if !s.Newest.IsZero() {
		v.newest.Store(s.Newest.UnixNano())
	}
	return nil
}

// restore reads the account of the stage.
func (v *verifier) restore(r io.Reader) error {
	if v.stage.Name == errorStage {
		rejects, err := account.RestoreRejects(v.res.Plan, r)
		if err != nil {
			return err
		}
		err = v.rejects.Close()
		v.rejects = rejects
		return err
	}
	acc, err := account.RestoreOf(v.rules, v.cfg.Dir, r)
	if err != nil {
		return err
	}
	acc.Time(v.res.timing(v.stage.Name))
	err = v.acc.Close()
	v.acc = acc
	return err
}

// fits says whether a state is one of this stage, read as it would be read now.
func (v *verifier) fits(s state) error {
	want := v.stamp()
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"format", s.Format, want.Format},
		{"run", s.Run, want.Run},
		{"digest", s.Digest, want.Digest},
		{"stage", s.Stage, want.Stage},
		{"path", s.Path, want.Path},
		{"settings of the stage", s.Settings, want.Settings},
		{"time since when objects count", s.Since.UTC(), want.Since},
	} {
		if c.got != c.want {
			return fmt.Errorf("%w: the %s was %v and is %v", errUnfit, c.what, c.got, c.want)
		}
	}
	switch {
	case v.ask == nil:
	case v.res.asked.queries(v.stage.Name) > 0:
		return fmt.Errorf("%w: the scenario's queries need every row", errUnfit)
	case s.Judged == nil || s.Judged.Rows != s.SoFar: // it was stopped, or had no engine
		return fmt.Errorf("%w: rows per log type and distinct users, which need every row, were not judged", errUnfit)
	}
	return nil
}
