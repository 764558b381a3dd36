package template

import (
	"bytes"
	"fmt"
	"sync"
)

// A Kind says what a scalar is.
type Kind uint8

// The kinds of scalars.
const (
	String Kind = iota
	Number
	Bool
	Null
)

// maxDepth bounds nesting, so that hostile input cannot exhaust memory.
const maxDepth = 512

// A Field is one scalar of a JSON value. Its slices point into the input.
type Field struct {
	Key        []byte // raw name of the member; elements of an array have the array's
	Start, End int    // range of the value, quotes included
	Kind       Kind
	stack      [][]byte
}

// Path joins the names from the top, with dots; arrays leave no trace in it.
func (f Field) Path() string { return string(bytes.Join(f.stack, []byte("."))) }

// Walk visits every scalar of one JSON value in order. It checks the structure,
// not each literal: input that json.Valid accepts passes. An error of visit ends
// the walk and is returned.
func Walk(data []byte, visit func(Field) error) error {
	w, _ := walkers.Get().(*walker)
	*w = walker{data: data, visit: visit, stack: w.stack[:0]}
	defer func() {
		w.data, w.visit = nil, nil
		walkers.Put(w)
	}()
	w.space()
	if err := w.value(nil, 0); err != nil {
		return err
	}
	w.space()
	if w.at < len(data) {
		return w.fault("nothing more")
	}
	return nil
}

type walker struct {
	data  []byte
	at    int
	visit func(Field) error
	stack [][]byte
}

// walkers are those that nobody uses: a walker would be memory for each row.
var walkers = sync.Pool{New: func() any { return new(walker) }}

func (w *walker) fault(want string) error {
	if w.at >= len(w.data) {
		return fmt.Errorf("template: byte %d: want %s, got the end", w.at, want)
	}
	return fmt.Errorf("template: byte %d: want %s, got %q", w.at, want, w.data[w.at])
}

func (w *walker) space() {
	for w.at < len(w.data) {
		switch w.data[w.at] {
		case ' ', '\t', '\n', '\r':
			w.at++
		default:
			return
		}
	}
}

func (w *walker) peek() byte {
	if w.at < len(w.data) {
		return w.data[w.at]
	}
	return 0
}

func (w *walker) value(key []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("template: byte %d: nested deeper than %d", w.at, maxDepth)
	}
	start := w.at
	switch c := w.peek(); {
	case c == '{':
		return w.object(depth)
	case c == '[':
		return w.array(key, depth)
	case c == '"':
		if err := w.text(); err != nil {
			return err
		}
		return w.emit(key, start, String)
	case c == '-' || c >= '0' && c <= '9':
		for w.at < len(w.data) && isNumber(w.data[w.at]) {
			w.at++
		}
		return w.emit(key, start, Number)
	default:
		return w.literal(key, start)
	}
}

func isNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (w *walker) literal(key []byte, start int) error {
	for _, l := range []struct {
		text string
		kind Kind
	}{{"true", Bool}, {"false", Bool}, {"null", Null}} {
		if bytes.HasPrefix(w.data[start:], []byte(l.text)) {
			w.at += len(l.text)
			return w.emit(key, start, l.kind)
		}
	}
	return w.fault("a value")
}

func (w *walker) emit(key []byte, start int, kind Kind) error {
	return w.visit(Field{Key: key, Start: start, End: w.at, Kind: kind, stack: w.stack})
}

// text passes a string and its quotes.
func (w *walker) text() error {
	for i := w.at + 1; ; {
		n := bytes.IndexByte(w.data[min(i, len(w.data)):], '"')
		if n < 0 {
			w.at = len(w.data)
			return w.fault(`'"'`)
		}
		i += n
		slashes := 0
		for w.data[i-1-slashes] == '\\' {
			slashes++
		}
		i++
		if slashes%2 == 0 {
			w.at = i
			return nil
		}
	}
}

func (w *walker) object(depth int) error {
	w.at++
	for n := 0; ; n++ {
		w.space()
		if n == 0 && w.peek() == '}' {
			w.at++
			return nil
		}
		if w.peek() != '"' {
			return w.fault("a name")
		}
		start := w.at
		if err := w.text(); err != nil {
			return err
		}
		key := w.data[start+1 : w.at-1]
		w.space()
		if w.peek() != ':' {
			return w.fault("':'")
		}
		w.at++
		w.space()
		w.stack = append(w.stack, key)
		if err := w.value(key, depth+1); err != nil {
			return err
		}
		w.stack = w.stack[:len(w.stack)-1]
		if done, err := w.next('}'); done || err != nil {
			return err
		}
	}
}

func (w *walker) array(key []byte, depth int) error {
	w.at++
	for n := 0; ; n++ {
		w.space()
		if n == 0 && w.peek() == ']' {
			w.at++
			return nil
		}
		if err := w.value(key, depth+1); err != nil {
			return err
		}
		if done, err := w.next(']'); done || err != nil {
			return err
		}
	}
}

// next passes a comma or the end of the object or array.
func (w *walker) next(end byte) (done bool, err error) {
	w.space()
	switch w.peek() {
	case ',':
		w.at++
		return false, nil
	case end:
		w.at++
		return true, nil
	}
	return false, w.fault(fmt.Sprintf("',' or %q", end))
}
