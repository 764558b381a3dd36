package local

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"time"
)

// token is a place in a stream, as a client holds it: an iterator or a NextToken.
type token struct {
	Stream string
	Shard  string
	From   uint64       // first sequence number to read
	Made   int64        // Unix ms
	Stamp  int64        // creation of the stream: a new stream of the same name is another one
	Filter *shardFilter `json:",omitempty"`
}

func (s *stream) token(shard string, from uint64) token {
	return token{Stream: s.name, Shard: shard, From: from, Made: time.Now().UnixMilli(), Stamp: s.created.UnixNano()}
}

func (t token) text() string {
	text, err := json.Marshal(t)
	if err != nil {
		return "" // strings and numbers always marshal
	}
	return base64.StdEncoding.EncodeToString(text)
}

func parseToken(text string) (t token, ok bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	return t, err == nil && json.Unmarshal(b, &t) == nil
}

func (t token) old(life time.Duration) bool { return time.Since(time.UnixMilli(t.Made)) > life }

// find returns the index of the shard named id.
func (s *stream) find(id string) (int, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index(id)
	if !ok {
		return 0, refuse("ResourceNotFoundException", "Shard %s in stream %s under account %s does not exist", id, s.name, account)
	}
	return i, nil
}

type getShardIteratorIn struct {
	streamRef
	ShardId, ShardIteratorType string
	StartingSequenceNumber     string
	Timestamp                  *float64 // seconds
}

func (p *Pipeline) getShardIterator(_ call, in *getShardIteratorIn) (any, *refusal) {
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	i, no := s.find(in.ShardId)
	if no != nil {
		return nil, no
	}
	var from uint64
	switch in.ShardIteratorType {
	case "TRIM_HORIZON":
		from = s.trimmed(i)
	case "LATEST":
		from = s.newest() + 1
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		n, ok := parseSeq(in.StartingSequenceNumber)
		if !ok || !s.holds(i, n) {
			return nil, refuse("InvalidArgumentException", "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid.", in.StartingSequenceNumber, in.ShardId, s.name, account)
		}
		from = n
		if in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			from++
		}
	case "AT_TIMESTAMP":
		if in.Timestamp == nil {
			return nil, refuse("InvalidArgumentException", "Must specify timestampInMillis when iterator type is AT_TIMESTAMP.")
		}
		from = s.since(i, int64(*in.Timestamp*1000))
	default:
		return nil, invalid("shardIteratorType", "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]")
	}
	return map[string]string{"ShardIterator": s.token(in.ShardId, from).text()}, nil
}

type getRecordsIn struct {
	ShardIterator, StreamARN string
	Limit                    *int
}

type getRecordsOut struct {
	Records            []gotRecord
	NextShardIterator  string  `json:",omitempty"` // absent: the shard is closed and read to its end
	ChildShards        []child `json:",omitempty"`
	MillisBehindLatest int64
}

type gotRecord struct {
	Data                        []byte
	PartitionKey                string
	SequenceNumber              string
	ApproximateArrivalTimestamp float64 // seconds
	EncryptionType              string
}

func (p *Pipeline) getRecords(_ call, in *getRecordsIn) (any, *refusal) {
	limit := MaxReadRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > MaxReadRecords {
		return nil, invalid("limit", "Member must have value between 1 and 10000")
	}
	t, ok := parseToken(in.ShardIterator)
	if !ok {
		return nil, refuse("InvalidArgumentException", "Invalid ShardIterator.")
	}
	if t.old(p.cfg.IteratorLife) {
		return nil, refuse("ExpiredIteratorException", "Iterator expired. The iterator was created more than %.0f seconds ago.", p.cfg.IteratorLife.Seconds())
	}
	if f := p.plan.readCall(); f.Way == Refused {
		no := refuse(f.Code, "%s is planted", f.Code)
		no.status = cmp.Or(status[f.Code], no.status)
		return nil, no
	}
	s, no := p.find(t.Stream, "")
	if no != nil {
		return nil, no
	}
	if s.created.UnixNano() != t.Stamp {
		return nil, notFound(s.name)
	}
	i, no := s.find(t.Shard)
	if no != nil {
		return nil, no
	}
	got, no := s.read(p, i, t.From, limit)
	if no != nil {
		return nil, no
	}
	out := getRecordsOut{Records: make([]gotRecord, 0, len(got.recs)), ChildShards: got.kids}
	if !got.end {
		out.NextShardIterator = s.token(t.Shard, got.next).text()
	}
	if got.left > 0 {
		out.MillisBehindLatest = max(1, time.Now().UnixMilli()-got.left)
	}
	for _, r := range got.recs {
		out.Records = append(out.Records, gotRecord{
			Data: r.data(), PartitionKey: string(r.buf[:r.key]), SequenceNumber: string(appendSeq(nil, r.seq)),
			ApproximateArrivalTimestamp: float64(r.at) / 1000, EncryptionType: "NONE",
		})
	}
	return out, nil
}
