// Package replay runs scenarios: the front door of the library, and the only
// package that knows every stage.
package replay

import (
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
// regenerates the same records whatever becomes of the original. It refuses a
// directory that has one.
func (j *Job) snapshot(dir string) error {
	err := os.Mkdir(filepath.Join(dir, snapshotDir), 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("replay: %s: already holds the scenario of a run; choose another --run-dir", dir)
	case err != nil:
		return fmt.Errorf("replay: snapshot of the scenario: %w", err)
	}
	files := append([]string{j.Scenario.File}, j.Scenario.Files...)
	for _, ref := range j.Scenario.Templates {
		err := fs.WalkDir(j.Scenario.FS, ref.Dir, func(name string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("replay: snapshot of the scenario: %w", err)
		}
	}
	for _, name := range files {
		data, err := fs.ReadFile(j.Scenario.FS, name)
		if err != nil {
			return fmt.Errorf("replay: snapshot of the scenario: %w", err)
		}
		to := filepath.Join(dir, snapshotDir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("replay: snapshot of the scenario: %w", err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return fmt.Errorf("replay: snapshot of the scenario: %w", err)
		}
	}
	return nil
}

// reopen compiles the snapshot of a run directory.
func reopen(dir, file string, set []string) (*Job, error) {
	return Check(os.DirFS(dir), path.Join(snapshotDir, file), set)
}
