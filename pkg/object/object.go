// Package object is the seam to wherever a lake's objects lie.
package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"
)

// Temporary begins the name of a file that is being written. No key has an
// element that begins with it, so what a crash leaves behind is no object.
const Temporary = ".tmp-"

var (
	// ErrNotExist is wrapped when a key names no object.
	ErrNotExist = fs.ErrNotExist
	// ErrKey is wrapped when a key cannot name an object; see CheckKey.
	ErrKey = errors.New("not an object key")
	// ErrReplaced is wrapped when an object was replaced while it was read.
	ErrReplaced = errors.New("replaced while it was read")
	// ErrDone is wrapped by a Writer that was closed or aborted before.
	ErrDone = errors.New("object already closed or aborted")
)

// Info describes one object.
type Info struct {
	Key      string    // full key, elements joined with '/'
	Size     int64     // stored bytes
	Modified time.Time // when the object was published
	ETag     string    // another one means that what lies under Key was replaced; never empty
}

// Store holds objects by key. All methods may be called concurrently, and by
// several processes on the same place. A store holds no resource that must be
// closed unless its constructor says so.
type Store interface {
	// List yields the objects whose key begins with prefix (any string, not
	// only whole elements), in bytewise order of their keys, each once. What is
	// published or removed meanwhile may or may not be seen. After a non-nil
	// error nothing follows. The sequence can be ranged over again and then
	// lists again.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Open reads one object from its beginning; the caller closes the reader,
	// which is for one goroutine. The error wraps ErrNotExist when there is no
	// such object, ErrKey when there cannot be one. A replacement published
	// meanwhile is not seen by a reader opened before.
	Open(ctx context.Context, key string) (io.ReadCloser, error)

	// Create starts an object; the caller ends it with Close or Abort. Nothing
	// is visible under key before Close. An object that is there stays whole
	// until then and is replaced at once; of two writers the last Close wins.
	// ctx governs the writer up to its Close.
	Create(ctx context.Context, key string) (Writer, error)
}

// A Seeker is a Store that reads objects at any place, as formats with a footer
// want it. Both that keep lakes are.
type Seeker interface {
	Store

	// OpenAt opens one object for reads at any offset; the caller closes it.
	// Errors are those of Open. What is published meanwhile under the same key
	// is not seen: a store that cannot go on reading what was replaced says so
	// as an error of ReadAt. ctx governs the reads too.
	OpenAt(ctx context.Context, key string) (ReaderAt, error)
}

// ReaderAt reads one object at any offset. As io.ReaderAt has it, ReadAt may be
// called concurrently, and gives io.EOF with what it reads up to the end.
type ReaderAt interface {
	io.ReaderAt
	io.Closer

	// Size is the object's length in bytes.
	Size() int64
}

// Writer writes one object, for one goroutine.
type Writer interface {
	io.Writer

	// Close publishes the object, durably and as a whole. On an error, also one
	// of an earlier Write, nothing is published and nothing is left behind.
	// A second call returns ErrDone.
	Close() error

	// Abort drops the object. After Close or Abort it does nothing and returns
	// nil, so that it can be deferred.
	Abort() error
}

// CheckKey returns an error wrapping ErrKey when key cannot name an object:
// a key is UTF-8, relative, its elements joined by single '/', none of them
// empty, ".", ".." or beginning with Temporary, and it holds no NUL.
func CheckKey(key string) error {
	if !fs.ValidPath(key) || key == "." || strings.ContainsRune(key, 0) {
		return fmt.Errorf("object: %q: %w", key, ErrKey)
	}
	if strings.HasPrefix(key, Temporary) || strings.Contains(key, "/"+Temporary) {
		return fmt.Errorf("object: %q: names a temporary file: %w", key, ErrKey)
	}
	return nil
}
