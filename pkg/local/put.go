package local

import (
	"net"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// servePut answers a PutRecords call.
func (p *Pipeline) servePut(w http.ResponseWriter, r *http.Request, sc *scratch) {
	if sc.put.parse(sc.body) != nil {
		garbled().write(w)
		return
	}
	s, no := p.find(sc.put.name, sc.put.arn)
	if no == nil {
		no = p.put(r, s, sc)
	}
	if no != nil {
		no.write(w)
		return
	}
	if p.plan.lose(sc.recs, sc.out) {
		p.loseAnswer(w)
		return
	}
	sc.answer(s)
	send(w, http.StatusOK, sc.resp)
}

// put stores the records of sc.put and leaves what became of each in sc.out.
func (p *Pipeline) put(r *http.Request, s *stream, sc *scratch) *refusal {
	entries := sc.put.records
	if len(entries) < 1 {
		return invalid("records", "Member must have length greater than or equal to 1")
	}
	if len(entries) > MaxRecords {
		return invalid("records", "Member must have length less than or equal to 500")
	}
	if no := sc.unpack(s, "records."); no != nil {
		return no
	}
	return p.keep(r, s, sc)
}

// keep stores sc.recs.
func (p *Pipeline) keep(r *http.Request, s *stream, sc *scratch) *refusal {
	if s.await(r.Context(), max(minBacklog, 4*int64(p.cfg.BufferBytes))) != nil {
		return failure
	}
	var ok bool
	sc.out, ok = s.append(p, sc.recs, sc.out[:0])
	if !ok {
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
		size += len(e.key) + len(e.data)/4*3
	}
	arena := make([]byte, 0, size)
	sc.recs = sc.recs[:0]
	for i := range sc.put.records {
		e := &sc.put.records[i]
		if no := e.check(where, i); no != nil {
			return no
		}
		start := len(arena)
		var err error
		if arena, err = decode(append(arena, e.key...), e.data); err != nil {
			return garbled()
		}
		h, ok := e.place()
		if !ok {
			return refuse("InvalidArgumentException", "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", e.hash)
		}
		buf := arena[start:len(arena):len(arena)]
		if len(buf) > s.maxRec {
			return invalid(at(where, i)+"data", "Member must have length less than or equal to "+strconv.Itoa(s.maxRec))
		}
		sc.recs = append(sc.recs, rec{buf: buf, key: uint16(len(e.key)), shard: uint32(route(s.starts, h))})
	}
	if len(arena) > MaxRequestBytes {
		return refuse("InvalidArgumentException", "Records size exceeds 10 MB limit")
	}
	return nil
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

func (e *entry) check(where string, i int) *refusal {
	switch n := utf8.RuneCount(e.key); {
	case e.data == nil:
		return invalid(at(where, i)+"data", "Member must not be null")
	case e.key == nil:
		return invalid(at(where, i)+"partitionKey", "Member must not be null")
	case n < 1:
		return invalid(at(where, i)+"partitionKey", "Member must have length greater than or equal to 1")
	case n > MaxKeyRunes:
		return invalid(at(where, i)+"partitionKey", "Member must have length less than or equal to 256")
	}
	return nil
}

// answer appends the JSON answer of a PutRecords call to sc.resp.
func (sc *scratch) answer(s *stream) {
	failed := 0
	for _, o := range sc.out {
		if o.seq == 0 {
			failed++
		}
	}
	b := append(sc.resp[:0], `{"EncryptionType":"NONE","FailedRecordCount":`...)
	b = strconv.AppendInt(b, int64(failed), 10)
	b = append(b, `,"Records":[`...)
	for i, o := range sc.out {
		if i > 0 {
			b = append(b, ',')
		}
		id := s.shards[o.shard].id
		if o.seq == 0 {
			b = append(b, `{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"`...)
			b = append(append(b, rateExceeded(s.name, id)...), `"}`...)
			continue
		}
		b = append(appendSeq(append(b, `{"SequenceNumber":"`...), o.seq), `","ShardId":"`...)
		b = append(append(b, id...), `"}`...)
	}
	sc.resp = append(b, `]}`...)
}

func rateExceeded(stream, shard string) string {
	return "Rate exceeded for shard " + shard + " in stream " + stream + " under account " + account + "."
}

// loseAnswer ends a call whose records are stored with something that does not say so.
func (p *Pipeline) loseAnswer(w http.ResponseWriter) {
	if p.cfg.Faults.LostMode != LostReset {
		failure.write(w)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // cuts the connection, if less rudely
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close a reset
	}
	_ = conn.Close()
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
	id := s.shards[o.shard].id
	if o.seq == 0 {
		return nil, refuse("ProvisionedThroughputExceededException", "%s", rateExceeded(s.name, id))
	}
	return map[string]string{"EncryptionType": "NONE", "SequenceNumber": string(appendSeq(nil, o.seq)), "ShardId": id}, nil
}

func optional(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}
