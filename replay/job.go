// Package replay runs scenarios: the front door of the library, and the only
// package that knows every stage.
package replay

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"kreplay/pkg/generate"
	"kreplay/pkg/scenario"
	"kreplay/pkg/template"
)

// A Job is a scenario that has been checked and compiled: nothing of it can be
// refused any more but by the stream it is sent to.
type Job struct {
	Scenario *scenario.Scenario
	Programs map[string]*template.Program // by template name
	Set      []string                     // overrides, as given
}

// Check reads the scenario name in fsys with its templates. All faults come
// back at once, as [scenario.Faults].
func Check(fsys fs.FS, name string, set []string) (*Job, error) {
	sc, err := scenario.Load(fsys, name, set)
	if err != nil {
		return nil, err
	}
	job := &Job{Scenario: sc, Programs: map[string]*template.Program{}, Set: set}
	var faults scenario.Faults
	var templates []*template.Template
	for _, ref := range sc.Templates {
		t, err := template.Read(sc.FS, ref.Dir)
		if err != nil {
			faults = append(faults, scenario.Fault{Pos: ref.Pos, Msg: err.Error()})
			continue
		}
		templates = append(templates, t)
		program, err := template.Compile(t, sc.Rewrite, sc.Time.Zone)
		var more scenario.Faults
		switch {
		case errors.As(err, &more):
			faults = append(faults, more...)
		case err != nil:
			return nil, err
		}
		job.Programs[ref.Name] = program
	}
	if len(templates) == len(sc.Templates) { // a rule may be about a template that was not read
		faults = append(faults, template.Unmatched(sc.Rewrite, templates...)...)
		for _, s := range sc.Stages {
			faults = append(faults, template.Ignored(s, sc.Rewrite, templates...)...)
		}
		faults = append(faults, badKeys(sc.Stages, templates)...)
		faults = append(faults, badPartitionKey(sc.Stream, templates)...)
	}
	faults = append(faults, badStreams(sc.Stream, templates)...)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return job, nil
}

// Plan returns every record of one run of the job, storing none.
func (j *Job) Plan(run generate.Run) (*generate.Plan, error) {
	return generate.New(j.Scenario, j.Programs, run)
}

// Start plans a run; without an anchor it is one that ends just before now.
func (j *Job) Start(run generate.Run, now time.Time) (*generate.Plan, error) {
	plan, err := j.Plan(run)
	if err != nil || !run.Anchor.IsZero() {
		return plan, err
	}
	run.Anchor = plan.AnchorBefore(now)
	return j.Plan(run)
}

// NewRunID returns an id that sorts by time and does not repeat.
func NewRunID(now time.Time) string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

const snapshotDir = "scenario"

// snapshot copies what the plan needs into the run directory, so that verify
// regenerates the same records whatever becomes of the original. It goes on with
// what it left when it was killed, and refuses any other file in its place.
func (j *Job) snapshot(dir string) error {
	files, err := j.files()
	if err != nil {
		return fmt.Errorf("replay: snapshot of the scenario: %w", err)
	}
	to := filepath.Join(dir, snapshotDir)
	whole, err := leftOf(to, files)
	if err != nil {
		return err
	}
	for name, data := range files {
		if whole[name] {
			continue // it may be the original itself
		}
		at := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return fmt.Errorf("replay: snapshot of the scenario: %w", err)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil {
			return fmt.Errorf("replay: snapshot of the scenario: %w", err)
		}
	}
	return nil
}

// files reads all that the plan needs, by name.
func (j *Job) files() (map[string][]byte, error) {
	names := append([]string{j.Scenario.File}, j.Scenario.Files...)
	for _, ref := range j.Scenario.Templates {
		err := fs.WalkDir(j.Scenario.FS, ref.Dir, func(name string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := fs.ReadFile(j.Scenario.FS, name)
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// leftOf says which files of a snapshot are there and whole. One that was killed
// leaves them, or what they begin with; with anything else the folder is
// somebody's, who may want to keep it.
func leftOf(dir string, files map[string][]byte) (whole map[string]bool, err error) {
	whole = map[string]bool{}
	err = filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		data, ok := files[name]
		if e.IsDir() && !ok {
			return nil
		}
		var there []byte
		if ok && e.Type().IsRegular() {
			if there, err = os.ReadFile(at); err != nil {
				return err
			}
		}
		if !ok || !e.Type().IsRegular() || !bytes.HasPrefix(data, there) {
			return fmt.Errorf("%s is not of this scenario; choose another --run-dir, or remove %s if it was left by a push that did not begin", at, dir)
		}
		whole[name] = len(there) == len(data)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replay: snapshot of the scenario: %w", err)
	}
	return whole, nil
}

// reopen compiles the snapshot of a run directory.
func reopen(dir, file string, set []string) (*Job, error) {
	return Check(os.DirFS(dir), path.Join(snapshotDir, file), set)
}
