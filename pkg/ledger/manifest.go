// Package ledger keeps the append-only, crash-safe account of a run's attempts.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"kreplay/pkg/record"
)

// Names inside a run directory.
const (
	ManifestFile = "manifest.json"
	LedgerFile   = "ledger.bin" // the first segment
)

// SegmentFile is the name of the n-th segment of a ledger, from 1: a run that
// was resumed n times has n+1. Segments only ever grow, and only the last one does.
func SegmentFile(n int) string {
	if n == 1 {
		return LedgerFile
	}
	return fmt.Sprintf("ledger.%03d.bin", n)
}

// manifestFormat grows when an older kreplay could misread the manifest, or when
// this one makes other records of it: 2 since hashes leave nothing of a text.
const manifestFormat = 2

// A Manifest says what a run is: enough to regenerate every record of it. It
// holds no credentials.
type Manifest struct {
	Format       int               `json:"format"` // set by Create
	Run          string            `json:"run"`    // id of the run
	Tag          record.Tag        `json:"tag"`
	Scenario     string            `json:"scenario"`                // name
	ScenarioFile string            `json:"scenario_file,omitempty"` // name of the file inside the snapshot
	Digest       string            `json:"digest"`                  // of the content, hex
	Seed         uint64            `json:"seed"`
	Users        uint64            `json:"users"` // of the whole run
	Anchor       time.Time         `json:"anchor"`
	Stream       string            `json:"stream"`
	Endpoint     string            `json:"endpoint,omitempty"` // Create drops user and password
	Worker       Worker            `json:"worker"`
	FirstUser    uint64            `json:"first_user"` // the worker's users: FirstUser <= user < EndUser
	EndUser      uint64            `json:"end_user"`
	Planned      uint64            `json:"planned"` // the worker's records; their Seq is below it
	Started      time.Time         `json:"started"` // zero: set by Create
	Stages       map[string]string `json:"stages,omitempty"`
	Set          []string          `json:"set,omitempty"` // overrides of the scenario, as given
	Version      string            `json:"version,omitempty"`
}

// A Worker says which share of a run this is, counted from 1. The zero value
// stands for 1 of 1.
type Worker struct {
	Index uint64 `json:"index"`
	Of    uint64 `json:"of"`
}

// complete fills in what Create sets and refuses what no reader could use.
func (m *Manifest) complete(now time.Time) error {
	m.Format = manifestFormat
	if m.Started.IsZero() {
		m.Started = now
	}
	if m.Worker == (Worker{}) {
		m.Worker = Worker{Index: 1, Of: 1}
	}
	if m.Worker.Index < 1 || m.Worker.Index > m.Worker.Of {
		return fmt.Errorf("ledger: worker %d/%d: counted from 1, up to the number of workers", m.Worker.Index, m.Worker.Of)
	}
	endpoint, err := withoutCredentials(m.Endpoint)
	m.Endpoint = endpoint
	return err
}

// withoutCredentials drops user, password and query. What cannot be parsed is
// refused unseen: nobody knows where its password stands.
func withoutCredentials(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", errors.New("ledger: endpoint: not a URL")
	}
	u.User, u.RawQuery = nil, ""
	return u.String(), nil
}

// writeManifest leaves either the whole manifest under its name or none.
func writeManifest(dir string, m Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("ledger: manifest: %w", err)
	}
	f, err := os.CreateTemp(dir, ManifestFile+".*.tmp")
	if err != nil {
		return fmt.Errorf("ledger: manifest: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, ManifestFile))
	}
	if err != nil {
		return fmt.Errorf("ledger: manifest: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(dir)
}

// syncDir makes new names in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("ledger: sync of the run directory: %w", err)
	}
	return nil
}

// ReadManifest reads the manifest of a run directory.
func ReadManifest(dir string) (Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("ledger: not a run directory: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("ledger: %s: %w", path, err)
	}
	if m.Format != manifestFormat {
		return Manifest{}, fmt.Errorf("ledger: %s: format %d; this kreplay reads format %d; use the version that wrote it", path, m.Format, manifestFormat)
	}
	return m, nil
}
