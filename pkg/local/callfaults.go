package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// CallFault is what goes wrong with whole PutRecords calls: After of them go
// well, then Calls go wrong. Several are carried out one after another; while
// one is at work no answer is lost by percentage.
type CallFault struct {
	Way   string        // LostError, LostReset, LostBody or LostJSON: stored all the same; Late: stored, the answer waits; Refused: not stored
	Code  string        // of Refused: the error code, such as KMSThrottlingException
	Delay time.Duration // of Late: how long; Close ends the waiting
	After int
	Calls int
}

// status is what HTTP says beside an error code; the others say 400.
var status = map[string]int{
	"RequestEntityTooLargeException": http.StatusRequestEntityTooLarge,
	"InternalFailure":                http.StatusInternalServerError,
	"ServiceUnavailable":             http.StatusServiceUnavailable,
}

func (f CallFault) check() error {
	bad := func(why string) error { return fmt.Errorf("local: faults: call fault %+v: %s", f, why) }
	switch f.Way {
	case LostError, LostReset, LostBody, LostJSON, Late, Refused:
	default:
		return bad("unknown way")
	}
	switch {
	case (f.Way == Refused) != (f.Code != ""):
		return bad("a code is for Refused, which needs one")
	case f.Delay < 0 || (f.Way == Late) != (f.Delay > 0):
		return bad("a delay is for Late, which needs one")
	case f.After < 0 || f.Calls < 1:
		return bad("want After from 0 and Calls from 1")
	}
	return nil
}

// lost tells that the client does not learn what became of its entries.
func (f CallFault) lost() bool {
	switch f.Way {
	case LostError, LostReset, LostBody, LostJSON:
		return true
	}
	return false
}

// Fail plants f behind the call faults that are still to come.
func (p *Pipeline) Fail(f CallFault) error {
	if err := f.check(); err != nil {
		return err
	}
	p.plan.mu.Lock()
	defer p.plan.mu.Unlock()
	p.plan.queue = append(p.plan.queue, f)
	return nil
}

// SetLatency makes every PutRecords answer from now on wait for fixed, and for
// up to jitter more.
func (p *Pipeline) SetLatency(fixed, jitter time.Duration) error {
	if fixed < 0 || jitter < 0 {
		return fmt.Errorf("local: latency %v and %v more: want 0 or more", fixed, jitter)
	}
	p.plan.mu.Lock()
	defer p.plan.mu.Unlock()
	p.plan.f.Latency, p.plan.f.Jitter = fixed, jitter
	return nil
}

// call says what goes wrong with the next PutRecords call, and how long its answer waits.
func (p *plan) call() (f CallFault, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = p.f.Latency
	if p.f.Jitter > 0 {
		wait += time.Duration(p.luck.Int64N(int64(p.f.Jitter) + 1))
	}
	if len(p.queue) == 0 {
		return CallFault{Way: p.lose()}, wait
	}
	head := &p.queue[0]
	if head.After > 0 {
		head.After--
		return CallFault{}, wait
	}
	f = *head
	if head.Calls--; head.Calls == 0 {
		p.queue = p.queue[1:]
	}
	return f, wait + f.Delay
}

// readCall says what goes wrong with the next GetRecords call.
func (p *plan) readCall() (f CallFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.reads) == 0 {
		return f
	}
	head := &p.reads[0]
	if head.After > 0 {
		head.After--
		return f
	}
	f = *head
	if head.Calls--; head.Calls == 0 {
		p.reads = p.reads[1:]
	}
	return f
}

// lose draws whether, and how, the answer to a call is lost.
func (p *plan) lose() (way string) {
	share := p.f.LostPercent
	if p.f.LostEvery > 0 {
		share = 0
		if p.calls++; p.calls%p.f.LostEvery == 0 {
			return cmp.Or(p.f.LostMode, LostError)
		}
	}
	if share+p.f.ResetPercent == 0 {
		return ""
	}
	switch x := p.luck.Float64() * 100; {
	case x < share:
		return cmp.Or(p.f.LostMode, LostError)
	case x < share+p.f.ResetPercent:
		return LostReset
	}
	return ""
}

// note plants what f came to for the entries of sc.
func (p *plan) note(f CallFault, sc *scratch) {
	if f.Way == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range sc.recs {
		switch {
		case f.Way == Refused:
			p.plant(Planted{Kind: Refused, Way: f.Code}, r)
		case sc.out[i].seq == 0: // refused on its own
		case f.Way == Late:
			p.plant(Planted{Kind: Late}, sc.out[i].of(r))
		default:
			p.plant(Planted{Kind: AnswerLost, Way: f.Way}, sc.out[i].of(r))
		}
	}
}

// of is r as it was stored.
func (o outcome) of(r rec) rec {
	r.seq = o.seq
	return r
}

// pause waits for d, or until the client is gone or the pipeline closes.
func (p *Pipeline) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.closing:
	case <-ctx.Done():
	}
}

// reply ends a PutRecords call as f says.
func (p *Pipeline) reply(w http.ResponseWriter, f CallFault, sc *scratch) {
	switch f.Way {
	case Refused:
		no := refuse(f.Code, "%s is planted", f.Code)
		no.status = cmp.Or(status[f.Code], no.status)
		no.write(w)
	case LostError:
		failure.write(w)
	case LostReset:
		reset(w)
	case LostJSON:
		send(w, http.StatusOK, sc.resp[:len(sc.resp)/2])
	case LostBody:
		w.Header().Set("Content-Length", strconv.Itoa(len(sc.resp)))
		_, _ = w.Write(sc.resp[:len(sc.resp)/2]) // less than announced: the server closes the connection
	default:
		send(w, http.StatusOK, sc.resp)
	}
}

// reset resets the connection of a call.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // cuts the connection, if less rudely
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close a reset
	}
	_ = conn.Close()
}

// checkCalls is the part of check that is about calls and entries.
func (f Faults) checkCalls() error {
	var faults []error
	if !(f.LostPercent >= 0 && f.ResetPercent >= 0 && f.LostPercent+f.ResetPercent < 100) || f.LostEvery == 1 {
		faults = append(faults, errors.New("local: faults: no answer would ever arrive"))
	}
	if !(f.FailPercent >= 0 && f.FailStoredPercent >= 0 && f.FailPercent+f.FailStoredPercent < 100) {
		faults = append(faults, errors.New("local: faults: no entry would ever succeed"))
	}
	if f.Latency < 0 || f.Jitter < 0 {
		faults = append(faults, errors.New("local: faults: a latency is negative"))
	}
	switch f.LostMode {
	case "", LostError, LostReset, LostBody, LostJSON:
	default:
		faults = append(faults, fmt.Errorf("local: faults: lost mode %q, want %q, %q, %q or %q", f.LostMode, LostError, LostReset, LostBody, LostJSON))
	}
	for _, c := range f.Calls {
		faults = append(faults, c.check())
	}
	for _, c := range f.Reads {
		faults = append(faults, c.check())
		if c.Way != Refused {
			faults = append(faults, fmt.Errorf("local: faults: read fault %+v: a read can only be refused", c))
		}
	}
	return errors.Join(faults...)
}
