package local

import "time"

// Entry is a record of a scanned body; a nil slice stands for an absent member.
type Entry struct{ Data, Key, Hash []byte }

// ScanPutRecords is what the server makes of a body.
func ScanPutRecords(body []byte) (name, arn string, all []Entry, err error) {
	var r putRecords
	if err := r.parse(body); err != nil {
		return "", "", nil, err
	}
	for _, e := range r.records {
		x := Entry{nil, e.key, e.hash}
		if e.data != nil {
			if x.Data, err = decode(make([]byte, 0, len(e.data)/4*3), e.data); err != nil {
				return "", "", nil, err
			}
		}
		all = append(all, x)
	}
	return r.name, r.arn, all, nil
}

// Route is the shard of a hash key among n, -1 when the key is none.
func Route(n int, key string) int {
	h, ok := parseHash([]byte(key))
	if !ok {
		return -1
	}
	return route(starts(n), h)
}

// Bucket is a shard's limit without a shard.
type Bucket struct{ b bucket }

// Take tells whether a record of so many bytes passes at now, under l.
func (b *Bucket) Take(now time.Time, bytes int, l ShardLimit) bool {
	return b.b.take(now, bytes, Config{}.limit(l))
}
