package replay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"

	"kreplay/pkg/lake"
	"kreplay/pkg/object/dir"
)

// errCut ends the reading of an object that is cut short.
var errCut = errors.New("cut")

// doctor writes the copy in which the faults are. Objects without any are copied
// byte for byte; the others are written row by row, gzipped if they were.
func (t *trial) doctor(ctx context.Context, objects []*sampled, p *plantings) error {
	if err := os.Mkdir(filepath.Join(t.temp, doctoredDir), 0o700); err != nil {
		return err
	}
	store, err := dir.Open(filepath.Join(t.temp, cleanDir))
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	for _, o := range objects {
		info := o.Info
		if to := p.moved[o.Key]; to != "" {
			t.columns[to], info.Key = t.columns[o.Key], to
		}
		err := t.write(ctx, doctoredDir, info, func(w io.Writer) error {
			from, err := store.Open(ctx, o.Key)
			if err != nil {
				return err
			}
			defer func() { _ = from.Close() }()
			if !p.anew(o.Key) {
				_, err := io.Copy(w, from)
				return err
			}
			in := bufio.NewReader(from)
			head, _ := in.Peek(2) // an object that is shorter is not gzipped
			return rewrite(w, string(head) == "\x1f\x8b", func(out io.Writer) error {
				return p.edited(ctx, store, o.Key, out)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func rewrite(w io.Writer, zip bool, fill func(io.Writer) error) error {
	if !zip {
		out := bufio.NewWriter(w)
		return errors.Join(fill(out), out.Flush())
	}
	out := gzip.NewWriter(w)
	return errors.Join(fill(out), out.Close())
}

// cutShort is what is left of a row within which an object ends: all that says
// whose it is, so that it is damage and no foreign span.
func cutShort(row []byte) []byte { return row[:len(row)-1] }

// edited writes an object's rows as they will be, up to within the one where it
// is cut.
func (p *plantings) edited(ctx context.Context, store *dir.Store, key string, out io.Writer) error {
	edits := p.rows[key]
	cut, isCut := p.cut[key]
	row := func(r lake.Row) error {
		if isCut && r.Offset == cut {
			_, err := out.Write(cutShort(r.Data))
			return errors.Join(err, errCut)
		}
		e := edits[r.Offset]
		if e == nil {
			e = &edit{}
		}
		var rows [][]byte
		switch {
		case e.drop:
		case e.replace != nil:
			rows = append(rows, e.replace)
		default:
			rows = append(rows, r.Data)
		}
		for _, data := range append(rows, e.behind...) {
			if _, err := out.Write(data); err != nil {
				return err
			}
			if !r.Newline {
				continue
			}
			if _, err := io.WriteString(out, "\n"); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := lake.Scan(ctx, store, key, row, func(lake.Damage) error { return nil }) // left out, as plantings.settle knows
	if errors.Is(err, errCut) {
		return nil
	}
	return err
}
