// Package local is the embedded pipeline: a Kinesis and an S3 on one loopback listener, and a Firehose-like deliverer from one to the other or to a folder, with faults on demand.
package local

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Pipeline is a running pipeline. All methods may be called concurrently, and after Close too.
type Pipeline struct {
	cfg  Config
	url  string
	srv  *http.Server
	plan *plan
	pool sync.Pool // *scratch

	mu      sync.RWMutex // guards streams and fresh
	streams map[string]*stream
	fresh   map[net.Conn]struct{} // connections that have not sent a byte

	s3       *storage
	lake     lake       // nil: no deliverer
	delivery sync.Mutex // one object at a time; guards press and the streams' drafts
	press    press
	wake     chan struct{}

	ctx    context.Context
	cancel context.CancelFunc // ends the deliverer

	closing chan struct{} // closed by Close: no answer waits any more
	done    sync.WaitGroup
	once    sync.Once
	err     error // of Close
}

// Count is what one shard took since the start.
type Count struct {
	Stream    string
	ID        string // shardId-000000000000
	Records   int64  // stored
	Bytes     int64  // data and partition keys of the stored
	Throttled int64  // entries refused, by limit or by fault
	Closed    bool   // by a reshard
}

// Start serves cfg on ln, which it owns from then on, also when it returns an
// error. All that is wrong with cfg is reported at once. The end of ctx stops
// the waiting inside; Close must be called all the same.
func Start(ctx context.Context, ln net.Listener, cfg Config) (*Pipeline, error) {
	cfg, err := cfg.ready()
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	p := &Pipeline{
		cfg: cfg, url: "http://" + ln.Addr().String(), plan: newPlan(cfg),
		streams: map[string]*stream{}, fresh: map[net.Conn]struct{}{},
		wake: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	p.pool.New = func() any { return new(scratch) }
	now := time.Now()
	for _, s := range cfg.Streams {
		p.streams[s.Name] = cfg.newStream(s, now)
	}
	if err := p.open(); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.srv = &http.Server{
		Handler:           http.HandlerFunc(p.serve),
		BaseContext:       func(net.Listener) context.Context { return p.ctx },
		ConnState:         p.track,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 16,
		ErrorLog:          log.New(io.Discard, "", 0), // an aborted request is the client's affair
	}
	p.done.Go(func() { _ = p.srv.Serve(ln) }) // always http.ErrServerClosed after Close
	if p.lake != nil {
		p.done.Go(p.deliverer)
	}
	return p, nil
}

// open makes the buckets and opens the lake.
func (p *Pipeline) open() (err error) {
	if p.s3, err = newStorage(p.cfg.Buckets); err != nil || p.cfg.Lake == "" {
		return err
	}
	return p.openLake()
}

// URL is the endpoint for SDKs: http://host:port.
func (p *Pipeline) URL() string { return p.url }

// Planted lists the faults that really happened so far, in the order they did;
// last what is held back.
func (p *Pipeline) Planted() []Planted {
	streams := p.sorted()
	p.plan.mu.Lock()
	defer p.plan.mu.Unlock()
	return append(slices.Clone(p.plan.planted), p.plan.held(streams)...)
}

// Counts lists every shard of every stream, by stream name, then by shard.
func (p *Pipeline) Counts() []Count {
	var all []Count
	for _, s := range p.sorted() {
		all = append(all, s.counts()...)
	}
	return all
}

// sorted lists the streams by name.
func (p *Pipeline) sorted() []*stream {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*stream, 0, len(p.streams))
	for _, s := range p.streams {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *stream) int { return strings.Compare(a.name, b.name) })
	return all
}

// Close answers the requests that are under way, delivers what is buffered,
// and waits for all that Start started. A second Close returns what the first did.
func (p *Pipeline) Close() error {
	p.once.Do(func() { p.err = p.shut() })
	return p.err
}

// drain is how long Close waits for requests that are under way.
const drain = 10 * time.Second

func (p *Pipeline) shut() error {
	base := context.WithoutCancel(p.ctx)
	ctx, cancel := context.WithTimeout(base, drain)
	defer cancel()
	close(p.closing)
	p.dropFresh()
	err := p.srv.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, p.srv.Close())
	}
	p.cancel()
	p.done.Wait()
	err = errors.Join(err, p.Flush(base), p.Flush(base)) // the second brings what the first held back
	p.delivery.Lock()
	defer p.delivery.Unlock()
	if p.lake != nil {
		err = errors.Join(err, p.lake.close())
		p.lake = nil
	}
	return err
}

// track knows the connections that never sent anything: Shutdown would give
// each of them five seconds.
func (p *Pipeline) track(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if state == http.StateNew {
		p.fresh[c] = struct{}{}
		return
	}
	delete(p.fresh, c)
}

func (p *Pipeline) dropFresh() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.fresh {
		_ = c.Close() // nothing was asked on it
	}
}
