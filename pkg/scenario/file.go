package scenario

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"unicode/utf8"
)

// maxBeside bounds a file beside the scenario file, in bytes.
const maxBeside = 1 << 20

// beside reads a file of the scenario's folder, and returns the name of it that faults show.
func (s *draft) beside(given string) (content, shown string, err error) {
	name, err := inside(given, given, "file")
	if err != nil {
		return "", "", err
	}
	f, err := s.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("%s: there is no such file in the scenario's folder", quote(given))
	}
	if err != nil {
		return "", "", err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxBeside+1))
	switch {
	case err != nil:
		return "", "", fmt.Errorf("%s: %w", quote(given), err)
	case len(data) > maxBeside:
		return "", "", fmt.Errorf("%s: want at most %d bytes", quote(given), maxBeside)
	case !utf8.Valid(data):
		return "", "", fmt.Errorf("%s: want text in UTF-8", quote(given))
	}
	if !slices.Contains(s.Files, name) {
		s.Files = append(s.Files, name)
	}
	return string(data), path.Join(s.dir, name), nil
}
