package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"kreplay/pkg/lake/parquet"
	"kreplay/pkg/object"
)

func isParquet(head []byte) bool {
	return bytes.HasPrefix(head, []byte(parquet.Magic)) || bytes.HasPrefix(head, []byte(parquet.EncryptedMagic))
}

// scanParquet reads a Parquet file, whose first bytes src has seen.
func scanParquet(ctx context.Context, store object.Store, key string, src *source, sweep Sweep) (stats Stats, err error) {
	fail := func(err error) error { return fmt.Errorf("lake: read %s: %w", key, err) }
	var file object.ReaderAt
	if s, ok := store.(object.Seeker); ok {
		file, err = s.OpenAt(ctx, key)
	} else {
		file, err = spool(ctx, src.out)
	}
	if err != nil {
		return stats, fail(err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	own := false // the error is a callback's: it is returned unchanged
	stats.Bytes = file.Size()
	err = parquet.Rows(ctx, file, file.Size(), parquet.Options{MaxRow: sweep.MaxValue, Row: func(n int64, data []byte) error {
		stats.Plain += int64(len(data))
		stats.Rows++
		err := sweep.Row(Row{Object: key, Offset: n, Data: data, Converted: true})
		own = err != nil
		return err
	}, Lost: func(l parquet.Lost) error {
		err := sweep.Damage(Damage{Object: key, Offset: l.First, Length: l.Count, Rows: true, Blind: true, Reason: "Parquet: " + l.Reason})
		own = err != nil
		return err
	}})
	if err != nil && !own {
		err = fail(err)
	}
	return stats, err
}

// spooled is a copy of an object in a file that has no name any more, or loses
// it at the end where the system does not take names from open files.
type spooled struct {
	*os.File
	size  int64
	named bool
}

// spool copies what r holds to the system's directory for temporary files.
func spool(ctx context.Context, r io.Reader) (object.ReaderAt, error) {
	f, err := os.CreateTemp("", "kreplay-parquet-*")
	if err != nil {
		return nil, fmt.Errorf("copy to read it at any place: %w", err)
	}
	s := spooled{File: f, named: os.Remove(f.Name()) != nil}
	if s.size, err = io.Copy(f, patient{ctx, r}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// patient reads until ctx ends.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if err := context.Cause(p.ctx); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

func (s spooled) Size() int64 { return s.size }

func (s spooled) Close() error {
	err := s.File.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.Name()))
	}
	return err
}
