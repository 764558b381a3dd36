package local

import (
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// servePut answers a PutRecords call.
func (p *Pipeline) servePut(w http.ResponseWriter, r *http.Request, sc *scratch) {
	parse, answer := sc.put.parse, sc.answer
	if inCBOR(r) {
		parse, answer = sc.put.parseCBOR, sc.answerCBOR
	}
	if parse(sc.body) != nil {
		garbled().write(w)
		return
	}
	s, no := p.find(sc.put.name, sc.put.arn)
	if no == nil {
		no = sc.accept(s)
	}
	if no != nil {
		no.write(w)
		return
	}
	var wait time.Duration
	sc.fault, wait = p.plan.call()
	if sc.fault.Way != Refused {
		if no := p.keep(r, s, sc); no != nil {
			no.write(w)
			return
		}
		answer(s)
	}
	p.plan.note(sc.fault, sc)
	p.pause(r.Context(), wait)
	p.reply(w, sc.fault, sc)
}

// accept checks the entries of sc.put and makes records of them.
func (sc *scratch) accept(s *stream) *refusal {
	entries := sc.put.records
	if len(entries) < 1 {
		return invalid("records", "Member must have length greater than or equal to 1")
	}
	if len(entries) > MaxRecords {
		return invalid("records", "Member must have length less than or equal to 500")
	}
	return sc.unpack(s, "records.")
}

// keep stores sc.recs and leaves what became of each in sc.out.
func (p *Pipeline) keep(r *http.Request, s *stream, sc *scratch) *refusal {
	if s.await(r.Context(), max(minBacklog, 4*int64(p.cfg.BufferBytes))) != nil {
		return failure
	}
	if !s.append(p, sc) {
		return notFound(s.name)
	}
	return nil
}

// unpack turns the entries into records with memory of their own, and checks
// each. where is what an error message puts before the number of the entry.
func (sc *scratch) unpack(s *stream, where string) *refusal {
	size := 0
	for i := range sc.put.records {
		e := &sc.put.records[i]
		size += len(e.key) + e.size(sc.put.raw)
	}
	arena := make([]byte, 0, size)
	auto := s.auto.Load()
	sc.recs, sc.places = sc.recs[:0], sc.places[:0]
	var err error
	for i := range sc.put.records {
		e := &sc.put.records[i]
		if no := e.check(where, i, auto); no != nil {
			return no
		}
		start := len(arena)
		arena = append(arena, e.key...)
		if sc.put.raw {
			arena = append(arena, e.data...)
		} else if arena, err = decode(arena, e.data); err != nil {
			return garbled()
		}
		h, ok := e.place()
		if !ok && !auto {
			return refuse("InvalidArgumentException", "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", e.hash)
		}
		buf := arena[start:len(arena):len(arena)]
		if len(buf) > s.maxRec {
			return invalid(at(where, i)+"data", "Member must have length less than or equal to "+strconv.Itoa(s.maxRec))
		}
		sc.recs = append(sc.recs, rec{buf: buf, key: uint16(len(e.key))})
		sc.places = append(sc.places, h)
	}
	if len(arena) > MaxRequestBytes {
		return refuse("InvalidArgumentException", "Records size exceeds 10 MB limit")
	}
	return nil
}

// size is the most that the data of e has bytes.
func (e *entry) size(raw bool) int {
	if raw {
		return len(e.data)
	}
	return len(e.data) / 4 * 3
}

// place is where on the ring of hash keys e goes; false: its ExplicitHashKey is none.
func (e *entry) place() (hash, bool) {
	if e.hash != nil {
		return parseHash(e.hash)
	}
	return keyHash(e.key), true
}

// at names entry i in an error message; PutRecord has no number.
func at(where string, i int) string {
	if where == "" {
		return ""
	}
	return where + strconv.Itoa(i+1) + ".member."
}

// check tells what is wrong with entry i; auto: it needs no key.
func (e *entry) check(where string, i int, auto bool) *refusal {
	switch n := utf8.RuneCount(e.key); {
	case e.data == nil:
		return invalid(at(where, i)+"data", "Member must not be null")
	case e.key == nil && auto:
		return nil
	case e.key == nil:
		return invalid(at(where, i)+"partitionKey", "Member must not be null")
	case n < 1:
		return invalid(at(where, i)+"partitionKey", "Member must have length greater than or equal to 1")
	case n > MaxKeyRunes:
		return invalid(at(where, i)+"partitionKey", "Member must have length less than or equal to 256")
	}
	return nil
}

// failed counts the entries that were not stored, or say so.
func (sc *scratch) failed() (n int) {
	for _, o := range sc.out {
		if o.seq == 0 || o.failed {
			n++
		}
	}
	return n
}

// answer writes the JSON answer of a PutRecords call into sc.resp.
func (sc *scratch) answer(s *stream) {
	b := append(sc.resp[:0], `{"EncryptionType":"NONE","FailedRecordCount":`...)
	b = strconv.AppendInt(b, int64(sc.failed()), 10)
	b = append(b, `,"Records":[`...)
	for i, o := range sc.out {
		if i > 0 {
			b = append(b, ',')
		}
		if o.failed {
			b = append(b, `{"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"}`...)
			continue
		}
		if o.seq == 0 {
			b = append(b, `{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"`...)
			b = append(append(b, rateExceeded(s.name, o.shard)...), `"}`...)
			continue
		}
		b = append(appendSeq(append(b, `{"SequenceNumber":"`...), o.seq), `","ShardId":"`...)
		b = append(append(b, o.shard...), `"}`...)
	}
	sc.resp = append(b, `]}`...)
}

func rateExceeded(stream, shard string) string {
	return "Rate exceeded for shard " + shard + " in stream " + stream + " under account " + account + "."
}

type putRecordIn struct {
	streamRef
	Data, PartitionKey, ExplicitHashKey *string
}

func (p *Pipeline) putRecord(c call, in *putRecordIn) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	e := entry{data: optional(in.Data), key: optional(in.PartitionKey), hash: optional(in.ExplicitHashKey)}
	sc := scratch{put: putRecords{records: []entry{e}}}
	if no := sc.unpack(s, ""); no != nil {
		return nil, no
	}
	if no := p.keep(c.Request, s, &sc); no != nil {
		return nil, no
	}
	o := sc.out[0]
	switch {
	case o.failed:
		return nil, failure
	case o.seq == 0:
		return nil, refuse("ProvisionedThroughputExceededException", "%s", rateExceeded(s.name, o.shard))
	}
	return map[string]string{"EncryptionType": "NONE", "SequenceNumber": string(appendSeq(nil, o.seq)), "ShardId": o.shard}, nil
}

func optional(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}
