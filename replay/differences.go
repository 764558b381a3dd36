package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"kreplay/pkg/account"
)

// differences is the complete list on disk, with the first of them in memory.
// It is safe for concurrent use.
type differences struct {
	mu      sync.Mutex
	path    string
	file    *os.File
	buf     *bufio.Writer
	most    int
	samples []Named
	total   uint64
}

func newDifferences(path string, samples int) (*differences, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-differences-")
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("replay: list of differences: %w", err)
	}
	if samples == 0 {
		samples = 100
	}
	return &differences{path: path, file: f, buf: bufio.NewWriter(f), most: samples}, nil
}

// line is one line of differences.ndjson.
type line struct {
	Stage   string   `json:"stage"`
	Kind    string   `json:"kind"`
	ID      string   `json:"id,omitempty"`
	LogType string   `json:"log_type,omitempty"`
	User    *uint32  `json:"user,omitempty"`
	Event   *uint32  `json:"event,omitempty"`
	Charge  string   `json:"charge,omitempty"`
	Between []string `json:"between,omitempty"` // the stages that it arose between
	Object  string   `json:"object,omitempty"`
	Offset  *int64   `json:"offset,omitempty"`  // in the object, decompressed
	Arrived *int64   `json:"arrived,omitempty"` // of a row of the stream: ms since 1970
	Detail  string   `json:"detail,omitempty"`
}

func (d *differences) add(n Named) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total++
	if len(d.samples) < d.most {
		d.samples = append(d.samples, n)
	}
	l := line{Stage: n.Stage, Kind: n.Kind, LogType: n.LogType, Charge: n.Charge, Object: n.Object, Detail: n.Detail}
	if n.Kind != account.KindDamaged && n.Kind != account.KindStranger && n.LogType != "" {
		l.ID, l.User, l.Event = n.ID.String(), &n.ID.User, &n.ID.Event
	}
	if n.Object != "" {
		l.Offset = &n.Offset
	}
	if n.Stage == streamStage {
		l.Offset, l.Arrived = nil, l.Offset
	}
	if n.Gap != (account.Gap{}) {
		l.Between = []string{n.Gap.From, n.Gap.To}
	}
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("replay: list of differences: %w", err)
	}
	if _, err := d.buf.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("replay: list of differences: %w", err)
	}
	return nil
}

// close shows the list in place of the one before.
func (d *differences) close() error {
	err := errors.Join(d.buf.Flush(), d.file.Close())
	if err == nil {
		err = os.Rename(d.file.Name(), d.path)
	}
	if err != nil {
		return fmt.Errorf("replay: list of differences: %w", errors.Join(err, os.Remove(d.file.Name())))
	}
	return nil
}
