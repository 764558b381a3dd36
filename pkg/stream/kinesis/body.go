package kinesis

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// A buffer is the body of one request. net/http may read it after the answer
// has come, and after the call has returned, so it is shared: the call is one
// user and each reading that net/http was given is another. Only the last one
// to let go puts it back. A user who never does costs a buffer, not a record.
type buffer struct {
	bytes []byte
	users atomic.Int32
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// maxPooled keeps a few requests near the service's limit, 13.4 MiB in JSON,
// from being held for the many that are a fiftieth of it.
const maxPooled = 4 << 20

// newBuffer returns an empty buffer with room for size bytes and one user.
func newBuffer(size int) *buffer {
	b := buffers.Get().(*buffer)
	b.users.Store(1)
	if b.bytes = b.bytes[:0]; cap(b.bytes) < size {
		b.bytes = make([]byte, 0, size)
	}
	return b
}

func (b *buffer) release() {
	if b.users.Add(-1) == 0 && cap(b.bytes) <= maxPooled {
		buffers.Put(b)
	}
}

// open returns a new reading of b, a user until it is closed. The caller is a user.
func (b *buffer) open() *reading {
	b.users.Add(1)
	return &reading{buffer: b, rest: b.bytes}
}

// A reading is a request's body for net/http, which may close it while another
// goroutine reads.
type reading struct {
	mu     sync.Mutex
	buffer *buffer // nil: closed
	rest   []byte
}

func (r *reading) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.buffer == nil:
		return 0, http.ErrBodyReadAfterClose
	case len(r.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close lets the buffer go. It may be called again.
func (r *reading) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buffer != nil {
		r.buffer.release()
		r.buffer, r.rest = nil, nil
	}
	return nil
}

// send writes up to n bytes to w. It holds Close back, so w must be something
// whose own closing ends the write.
func (r *reading) send(w io.Writer, n int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buffer == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	wrote, err := w.Write(r.rest[:min(n, int64(len(r.rest)))])
	r.rest = r.rest[wrote:]
	return int64(wrote), err
}

// doer is the SDK's way to net/http. The SDK closes the body it gave as soon as
// response headers arrive, and net/http may still be reading it then: the call
// would fail after the records were stored (smithy-go transport/http/client.go;
// aws-sdk-go-v2 #2737). So net/http gets a body of its own.
type doer struct{ *http.Client }

// Do implements the SDK's HTTP client.
func (d doer) Do(r *http.Request) (*http.Response, error) {
	switch k := callOf(r.Context()); {
	case k != nil && k.body != nil:
		r = r.WithContext(r.Context()) // a copy: the SDK closes the body of the request it knows
		r.Body = k.body.open()
		// net/http asks for the body anew only if no byte of the request was
		// written, to a connection that the server had closed meanwhile.
		r.GetBody = func() (io.ReadCloser, error) { return k.body.open(), nil }
	case r.Body != nil:
		r.Body = io.NopCloser(r.Body)
	}
	return d.Client.Do(r)
}

// conn writes a request's body in one piece where net/http would copy it
// through a buffer of 32 KiB. Over TLS it is below the encryption and sees no body.
type conn struct{ *net.TCPConn }

// ReadFrom implements [io.ReaderFrom], for net/http.
func (c conn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if body, ok := limited.R.(*reading); ok {
			n, err := body.send(c.TCPConn, limited.N)
			limited.N -= n
			return n, err
		}
	}
	return c.TCPConn.ReadFrom(r)
}

// transport makes t the client's own: a connection for each request in flight,
// kept, and HTTP/1.1, so that one slow answer holds nothing else up and that
// net/http resends only what it never wrote (over HTTP/2 it resends more).
func transport(t *http.Transport, requests int) *http.Transport {
	t.MaxIdleConnsPerHost, t.MaxIdleConns = requests, requests
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2 = false
	if t.TLSClientConfig != nil { // a copied transport still offers what it spoke before
		t.TLSClientConfig.NextProtos = slices.DeleteFunc(slices.Clone(t.TLSClientConfig.NextProtos), func(p string) bool { return p == "h2" })
	}
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok && err == nil {
			return conn{tcp}, nil
		}
		return c, err
	}
	return t
}
