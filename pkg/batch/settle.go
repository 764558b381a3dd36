package batch

import (
	"errors"
	"time"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

// Counts are what has become of attempts at records so far.
type Counts struct {
	Acked, Refused, Throttled, Unknown uint64 // attempts; throttled ones are refused
	Bytes                              uint64 // data and keys of what was acked
	GivenUp                            uint64 // records that are not sent again although no attempt was acked
	Held                               uint64 // of these, those whose fate is unknown, by Config.Hold
}

// Counts returns them.
func (d *Dispatcher) Counts() Counts { return d.counts }

// Settle takes back a request with the outcomes of its records, in order. r is
// not to be used after.
func (d *Dispatcher) Settle(now time.Duration, r *Request, outs []record.Outcome) {
	d.flying--
	answered := false
	for i := range outs {
		answered = d.note(r.slots[i], &outs[i]) || answered
	}
	d.health.note(now, r, outs, answered)
	retry := now // of what an answer did not come for
	if answered {
		d.failures = 0
		d.window.Answer(now-r.taken, r.queue)
	} else {
		retry = d.failed(now, r, outs)
		if len(outs) == 1 { // it may be the record that fails, not the call
			retry = max(retry, now+d.jitter(int(d.slots[r.slots[0]].tries)-1))
		}
	}
	for i := range d.shards {
		d.shards[i].answer(now, r.taken, d.luck)
	}
	for i := range outs {
		d.resolve(now, retry, r.slots[i], &outs[i])
	}
	d.done.tell()
	clear(r.Recs) // their data may be freed
	*r = Request{Recs: r.Recs[:0], slots: r.slots[:0]}
	d.spare = append(d.spare, r)
}

// note counts an outcome, and says whether it comes from an answer.
func (d *Dispatcher) note(i int32, o *record.Outcome) (answered bool) {
	s := &d.slots[i]
	sh := &d.shards[s.shard]
	sh.heat.look(s.rec.Seq, s.rec.ID.User)
	switch o.Fate {
	case record.Acked:
		n := s.rec.Size()
		d.counts.Acked++
		d.counts.Bytes += uint64(n)
		sh.got++
		sh.gotBytes += n
		if o.Shard == sh.total.ID {
			sh.total.Records++
			sh.total.Bytes += uint64(n)
			return true
		}
		d.elsewhere(o.Shard, n)
		return true
	case record.Refused:
		d.counts.Refused++
		if !stream.Throttled(o.Code) {
			return false
		}
		d.counts.Throttled++
		if o.Code == stream.CodeThrottled {
			return false
		}
		sh.hit++
		sh.total.Throttled++
		return true
	case record.Unknown:
		d.counts.Unknown++
	case record.Unsent: // no attempt has it
	}
	return false
}

// resolve decides whether a record is sent again.
func (d *Dispatcher) resolve(now, retry time.Duration, i int32, o *record.Outcome) {
	s := &d.slots[i]
	switch {
	case o.Fate == record.Acked:
		d.release(i)
	case o.Fate == record.Unknown && d.cfg.Hold:
		d.counts.Held++
		d.counts.GivenUp++
		d.release(i)
	case int(s.tries) >= d.cfg.Attempts || now-s.first >= d.cfg.Age:
		d.counts.GivenUp++
		d.release(i)
	case retry > now:
		d.park(i, retry)
	case o.Fate == record.Unknown, d.routes == nil: // an entry that failed in a request that did not
		d.park(i, now+d.jitter(int(s.tries)-1))
	default:
		d.again(i)
	}
}

// failed is about a call that brought no answer: it tells when its records are
// sent again.
func (d *Dispatcher) failed(now time.Duration, r *Request, outs []record.Outcome) (retry time.Duration) {
	if len(outs) == 0 {
		return now
	}
	if errors.Is(outs[0].Err, stream.ErrTooLarge) {
		d.most.Records = max(min(d.most.Records, len(r.Recs)/2), 1)
		d.most.RequestBytes = max(min(d.most.RequestBytes, r.Bytes/2), 1)
		return now
	}
	d.failures++
	if outs[0].Code == "timeout" {
		d.window.Lost()
	}
	retry = now + d.jitter(d.failures-1)
	if d.failures > 2 || outs[0].Code == stream.CodeThrottled {
		d.pause = max(d.pause, retry) // one that fails is bad luck; more, or a throttle of all, means all
	}
	return retry
}

// jitter is the wait after n+1 failures in a row.
func (d *Dispatcher) jitter(n int) time.Duration { return backoff(n, d.luck.Int64N) }

func backoff(n int, draw func(int64) int64) time.Duration {
	return time.Duration(draw(int64(min(backoffBase<<min(max(n, 0), 16), backoffMost))))
}

// unset is the time of what has not happened.
const unset = time.Duration(-1)

// health is how long nothing has gone well. A time in which nothing is tried,
// for want of records that are due, is not counted.
type health struct {
	throttled, failing time.Duration // since when
	last               time.Duration // when a call was over
}

func (h *health) note(now time.Duration, r *Request, outs []record.Outcome, answered bool) {
	h.last = now
	throttled := len(outs) > 0
	for i := range outs {
		if outs[i].Fate == record.Acked {
			h.throttled, h.failing = unset, unset
			return
		}
		throttled = throttled && stream.Throttled(outs[i].Code)
	}
	switch {
	case !throttled:
		h.throttled = unset
	case h.throttled == unset:
		h.throttled = r.taken
	}
	switch {
	case answered:
		h.failing = unset
	case h.failing == unset:
		h.failing = now
	}
}

// Throttled is how long there has been nothing but throttles.
func (d *Dispatcher) Throttled(now time.Duration) time.Duration {
	return since(d.health.throttled, d.tried(now))
}

// Failing is how long no call has been answered, since the first that was not.
func (d *Dispatcher) Failing(now time.Duration) time.Duration {
	return since(d.health.failing, d.tried(now))
}

// tried is until when something was tried.
func (d *Dispatcher) tried(now time.Duration) time.Duration {
	if d.flying > 0 {
		return now
	}
	return min(now, d.health.last)
}

func since(t, now time.Duration) time.Duration {
	if t == unset {
		return 0
	}
	return now - t
}
