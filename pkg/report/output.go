package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// An Output is one report that was asked for.
type Output struct {
	Format string // text or json
	File   string // empty: standard output
}

// ParseOutput reads FORMAT or FORMAT=FILE.
func ParseOutput(spec string) (Output, error) {
	format, file, named := strings.Cut(spec, "=")
	if format != "text" && format != "json" || named && file == "" {
		return Output{}, fmt.Errorf("%q: want text or json, with =FILE to write a file", spec)
	}
	return Output{format, file}, nil
}

// Write writes r in the output's format: to its file, or to w if it has none. A
// file that was there stays whole until the new one is.
func (o Output) Write(w io.Writer, r Report) error {
	if o.File == "" {
		return o.encode(w, r)
	}
	if err := o.writeFile(r); err != nil {
		return fmt.Errorf("report: %s: %w", o.File, err)
	}
	return nil
}

func (o Output) encode(w io.Writer, r Report) error {
	if o.Format == "json" {
		return JSON(w, r)
	}
	return Text(w, r)
}

func (o Output) writeFile(r Report) error {
	if info, err := os.Stat(o.File); err == nil && !info.Mode().IsRegular() {
		return o.writeThrough(r) // a pipe or a device: a rename would replace it
	}
	f, err := os.CreateTemp(filepath.Dir(o.File), ".tmp-report-*")
	if err != nil {
		return err
	}
	err = errors.Join(o.encode(f, r), f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), o.File)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the failure that led here says more
	}
	return err
}

func (o Output) writeThrough(r Report) error {
	f, err := os.OpenFile(o.File, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(o.encode(f, r), f.Close())
}
