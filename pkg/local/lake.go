package local

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// lake is where the deliverer puts objects. The caller holds Pipeline.delivery.
type lake interface {
	// put makes an object visible as a whole, or not at all. It does not keep data.
	put(key string, data []byte) error
	close() error
}

// openLake opens what Config.Lake names.
func (p *Pipeline) openLake() error {
	if bucket, prefix, ok := splitLake(p.cfg.Lake); ok {
		p.lake = bucketLake{p.s3.store, bucket, prefix}
		return nil
	}
	if err := os.MkdirAll(p.cfg.Lake, 0o755); err != nil {
		return fmt.Errorf("local: lake: %w", err)
	}
	root, err := os.OpenRoot(p.cfg.Lake)
	if err != nil {
		return fmt.Errorf("local: lake: %w", err)
	}
	p.lake = folderLake{root}
	return nil
}

// splitLake reads s3://bucket/prefix; ok is false for a folder.
func splitLake(lake string) (bucket, prefix string, ok bool) {
	rest, ok := strings.CutPrefix(lake, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	if prefix = strings.TrimSuffix(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return bucket, prefix, ok
}

// folderLake is a folder.
type folderLake struct{ root *os.Root }

// put writes under a hidden name, then renames. There is no sync: what the lake
// holds matters to this process and its readers only.
func (l folderLake) put(key string, data []byte) error {
	dir, name := path.Split(key)
	if dir = path.Clean(dir); dir != "." {
		if err := l.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	hidden := path.Join(dir, ".tmp-"+name)
	err := l.root.WriteFile(hidden, data, 0o644)
	if err == nil {
		err = l.root.Rename(hidden, key)
	}
	if err != nil {
		_ = l.root.Remove(hidden) // the first error is the one to know
	}
	return err
}

func (l folderLake) close() error { return l.root.Close() }
