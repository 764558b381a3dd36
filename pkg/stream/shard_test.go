package stream_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"kreplay/pkg/record"
	"kreplay/pkg/stream"
)

func bigOf(h stream.HashKey) *big.Int {
	n := new(big.Int).SetUint64(h.Hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(h.Lo))
}

func hashKey(n *big.Int) stream.HashKey {
	return stream.HashKey{Hi: new(big.Int).Rsh(n, 64).Uint64(), Lo: n.Uint64()}
}

var hashKeys = rapid.Custom(func(t *rapid.T) stream.HashKey {
	part := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, ^uint64(0), ^uint64(0) - 1}))
	return stream.HashKey{Hi: part.Draw(t, "hi"), Lo: part.Draw(t, "lo")}
})

func TestHashKeysAreNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := hashKeys.Draw(t, "a"), hashKeys.Draw(t, "b")
		if got, want := a.Compare(b), bigOf(a).Cmp(bigOf(b)); got != want {
			t.Errorf("compare %s with %s: got %d, want %d", a, b, got, want)
		}
		if a.String() != bigOf(a).String() {
			t.Errorf("%+v is %s, want %s", a, a, bigOf(a))
		}
		if back, err := stream.ParseHashKey(a.String()); back != a || err != nil {
			t.Errorf("%s comes back as %s, %v", a, back, err)
		}
	})
}

// What is taken is what math/big takes below 2^128, in its own form.
func TestParseHashKeyTakesNothingElse(t *testing.T) {
	texts := rapid.OneOf(
		rapid.StringMatching(`[0-9]{0,45}`), rapid.StringMatching(`34028236692093846346337460743176821145[0-9]`), rapid.StringMatching(`[-+ 0-9a_:/]{1,4}`),
		rapid.SampledFrom([]string{"0", "00", "340282366920938463463374607431768211455", "340282366920938463463374607431768211456"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		want, number := new(big.Int).SetString(text, 10)
		number = number && want.String() == text && want.Sign() >= 0 && want.BitLen() <= 128
		got, err := stream.ParseHashKey(text)
		if (err == nil) != number || number && bigOf(got).Cmp(want) != 0 || err != nil && !errors.Is(err, stream.ErrHashKey) {
			t.Errorf("%q: got %s, %v, want a number: %t", text, got, err, number)
		}
	})
}

// drawRing cuts the ring at random places.
func drawRing(t *rapid.T) (shards []stream.Shard) {
	cuts := rapid.SliceOfNDistinct(hashKeys, 0, 30, rapid.ID).Draw(t, "cuts")
	cuts = append(cuts, stream.HashKey{})
	for i, first := range cuts {
		last := stream.MaxHashKey
		for _, other := range cuts {
			if other.Compare(first) > 0 && other.Compare(last) <= 0 {
				last = hashKey(new(big.Int).Sub(bigOf(other), big.NewInt(1)))
			}
		}
		if first != (stream.HashKey{}) || i == len(cuts)-1 {
			shards = append(shards, stream.Shard{ID: fmt.Sprintf("shardId-%012d", i), First: first, Last: last})
		}
	}
	return shards
}

// A record goes to the one shard whose range holds the MD5 of its key, or its
// explicit hash key, as a big-endian number.
func TestMapRoutesLikeNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := drawRing(t)
		m, err := stream.NewMap(rapid.Permutation(shards).Draw(t, "order"))
		if err != nil || m.Len() != len(shards) {
			t.Fatalf("%d shards, %v, want %d", m.Len(), err, len(shards))
		}
		r := record.Record{PartitionKey: rapid.String().Draw(t, "key")}
		sum := md5.Sum([]byte(r.PartitionKey))
		place := new(big.Int).SetBytes(sum[:])
		if rapid.Bool().Draw(t, "explicit") {
			place = bigOf(rapid.OneOf(hashKeys, rapid.Map(rapid.SampledFrom(shards), func(s stream.Shard) stream.HashKey { return s.Last }),
				rapid.Map(rapid.SampledFrom(shards), func(s stream.Shard) stream.HashKey { return s.First })).Draw(t, "hash"))
			r.ExplicitHashKey = place.String()
		}
		got, err := m.Route(&r)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shards {
			holds := bigOf(s.First).Cmp(place) <= 0 && place.Cmp(bigOf(s.Last)) <= 0
			if holds != (m.Shard(got).ID == s.ID) {
				t.Errorf("%s goes to %s; %s is from %s to %s", place, m.Shard(got).ID, s.ID, s.First, s.Last)
			}
			if i, open := m.Index(s.ID); !open || m.Shard(i) != s {
				t.Errorf("%s is at %d, %t", s.ID, i, open)
			}
		}
		if _, open := m.Index("shardId-x"); open {
			t.Error("an unknown shard is open")
		}
	})
}

func TestRouteRefusesAnyOtherHashKey(t *testing.T) {
	m, err := stream.NewMap([]stream.Shard{{ID: "a", Last: stream.MaxHashKey}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Route(&record.Record{PartitionKey: "k", ExplicitHashKey: "-1"}); !errors.Is(err, stream.ErrHashKey) {
		t.Errorf("got %v, want ErrHashKey", err)
	}
}

// few says that s holds a place or two.
func few(s stream.Shard) bool {
	return new(big.Int).Sub(bigOf(s.Last), bigOf(s.First)).Cmp(big.NewInt(2)) < 0
}

// Shards that miss a part of the ring or hold one twice, as a list read during
// a reshard does, make no map. A place too many or too few at a seam is borne.
func TestMapNeedsTheWholeRing(t *testing.T) {
	shift := func(h stream.HashKey, by int64) stream.HashKey {
		return hashKey(new(big.Int).Add(bigOf(h), big.NewInt(by)))
	}
	rapid.Check(t, func(t *rapid.T) {
		shards := drawRing(t)
		if len(shards) < 3 {
			return
		}
		m, err := stream.NewMap(shards)
		if err != nil {
			t.Fatal(err)
		}
		inner := m.Shard(rapid.IntRange(1, m.Len()-1).Draw(t, "shard"))
		before := m.Shard(0)
		for i := range m.Len() {
			if m.Shard(i).ID == inner.ID {
				before = m.Shard(i - 1)
			}
		}
		if few(before) || few(inner) {
			return // as good as a seam that is one off
		}
		var broken []stream.Shard
		mend := false
		switch rapid.IntRange(0, 4).Draw(t, "fault") {
		case 0: // one is missing
			for _, s := range shards {
				if s.ID != inner.ID {
					broken = append(broken, s)
				}
			}
		case 1: // parents beside their child
			broken = append(append(broken, shards...), stream.Shard{ID: "child", First: before.First, Last: inner.Last})
		case 2: // twice
			broken = append(append(broken, shards...), inner)
		case 3: // backwards
			for _, s := range shards {
				if s.ID == inner.ID {
					s.First, s.Last = s.Last, s.First
				}
				broken = append(broken, s)
			}
		case 4: // one off
			mend = true
			by := rapid.SampledFrom([]int64{-1, 1}).Draw(t, "by")
			for _, s := range shards {
				if s.ID == before.ID {
					s.Last = shift(s.Last, by)
				}
				broken = append(broken, s)
			}
		}
		_, err = stream.NewMap(broken)
		if mend != (err == nil) || err != nil && !errors.Is(err, stream.ErrShards) {
			t.Errorf("got %v, want a map: %t", err, mend)
		}
	})
	if _, err := stream.NewMap(nil); !errors.Is(err, stream.ErrShards) {
		t.Errorf("no shards: got %v", err)
	}
}

func BenchmarkRoute(b *testing.B) {
	var shards []stream.Shard
	const n = 1000
	for i := range uint64(n) {
		shards = append(shards, stream.Shard{ID: fmt.Sprint(i), First: stream.HashKey{Hi: ^uint64(0) / n * i}, Last: stream.HashKey{Hi: ^uint64(0)/n*(i+1) - 1, Lo: ^uint64(0)}})
	}
	shards[n-1].Last = stream.MaxHashKey
	m, err := stream.NewMap(shards)
	if err != nil {
		b.Fatal(err)
	}
	recs := make([]record.Record, 1024)
	for i := range recs {
		recs[i].PartitionKey = fmt.Sprintf("user-%d", rand.Uint32())
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := m.Route(&recs[i%len(recs)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
