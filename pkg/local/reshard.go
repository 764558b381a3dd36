package local

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Limits of UpdateShardCount (API_UpdateShardCount).
const (
	maxScaled  = 10_000 // shards
	maxUpdates = 10     // in a rolling day
)

// Split splits an open shard into equal halves, as the service itself does with
// an on-demand stream: whatever its mode and its status.
func (p *Pipeline) Split(name, id string) error {
	return p.reshard(name, func(s *stream) *refusal { return s.splitShard(id, nil) })
}

// Merge merges two open shards that lie side by side, whatever the stream's
// mode and its status. id becomes the parent, adjacent the adjacent parent.
func (p *Pipeline) Merge(name, id, adjacent string) error {
	return p.reshard(name, func(s *stream) *refusal { return s.mergeShards(id, adjacent) })
}

// Resize cuts a stream into n equal shards by splits and merges, whatever its
// mode, its status and the limits of UpdateShardCount.
func (p *Pipeline) Resize(name string, n int) error {
	if n < 1 || n > maxShards {
		return fmt.Errorf("local: stream %q: %d shards, want 1 to %d", name, n, maxShards)
	}
	return p.reshard(name, func(s *stream) *refusal {
		s.resize(n, time.Now())
		return nil
	})
}

// reshard changes the shards of a stream under its lock.
func (p *Pipeline) reshard(name string, change func(*stream) *refusal) error {
	s, err := p.named(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if no := change(s); no != nil {
		return errors.New("local: " + no.message)
	}
	s.busy = time.Now().Add(p.cfg.Reshard)
	return nil
}

// ask carries out a reshard that a client asked for.
func (p *Pipeline) ask(ref streamRef, change func(*stream) *refusal) (*stream, *refusal) {
	s, no := p.find(ref.StreamName, ref.StreamARN)
	if no != nil {
		return nil, no
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.onDemand:
		no = refuse("ValidationException", "Stream %s under account %s is in ON_DEMAND mode, which does not support this operation.", s.name, account)
	case s.status() != "ACTIVE":
		no = refuse("ResourceInUseException", "Stream %s under account %s not ACTIVE, instead in state %s", s.name, account, s.status())
	default:
		no = change(s)
	}
	if no == nil {
		s.busy = time.Now().Add(p.cfg.Reshard)
	}
	return s, no
}

// eligible finds the open shard named id.
func (s *stream) eligible(id string) (place int, no *refusal) {
	if _, ok := s.index(id); !ok {
		return 0, refuse("ResourceNotFoundException", "Could not find shard %s in stream %s under account %s.", id, s.name, account)
	}
	k, ok := s.place(id)
	if !ok {
		return 0, refuse("ResourceInUseException", "Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.", id, s.name, account)
	}
	return k, nil
}

// splitShard splits the shard named id at a hash; nil: in the middle.
func (s *stream) splitShard(id string, at *hash) *refusal {
	k, no := s.eligible(id)
	if no != nil {
		return no
	}
	if len(s.open) >= maxShards {
		return refuse("LimitExceededException", "This request would exceed the shard limit for the account %s in %s. Limit: %d.", account, region, maxShards)
	}
	sh := s.open[k]
	if at == nil {
		half := sh.from.middle(sh.to)
		at = &half
	}
	if !sh.from.less(*at) || !sh.from.less(at.before()) || !at.less(sh.to) {
		return refuse("InvalidArgumentException", "NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.", at, id, s.name, account, sh.from, sh.to)
	}
	s.split(k, *at, time.Now())
	return nil
}

// mergeShards merges two shards, the upper or the lower one named first.
func (s *stream) mergeShards(id, adjacent string) *refusal {
	a, no := s.eligible(id)
	if no != nil {
		return no
	}
	b, no := s.eligible(adjacent)
	if no != nil {
		return no
	}
	if b != a+1 && b != a-1 {
		return refuse("InvalidArgumentException", "Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging", id, adjacent, s.name, account)
	}
	s.merge(min(a, b), b < a, time.Now())
	return nil
}

type splitShardIn struct {
	streamRef
	ShardToSplit, NewStartingHashKey string
}

func (p *Pipeline) splitShard(_ call, in *splitShardIn) (any, *refusal) {
	at, ok := parseHash([]byte(in.NewStartingHashKey))
	if !ok {
		return nil, invalid("newStartingHashKey", "Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38})")
	}
	_, no := p.ask(in.streamRef, func(s *stream) *refusal { return s.splitShard(in.ShardToSplit, &at) })
	return nil, no
}

type mergeShardsIn struct {
	streamRef
	ShardToMerge, AdjacentShardToMerge string
}

func (p *Pipeline) mergeShards(_ call, in *mergeShardsIn) (any, *refusal) {
	_, no := p.ask(in.streamRef, func(s *stream) *refusal { return s.mergeShards(in.ShardToMerge, in.AdjacentShardToMerge) })
	return nil, no
}

type updateShardCountIn struct {
	streamRef
	ScalingType      string
	TargetShardCount int
}

func (p *Pipeline) updateShardCount(c call, in *updateShardCountIn) (any, *refusal) {
	if in.ScalingType != "UNIFORM_SCALING" {
		return nil, invalid("scalingType", "Member must satisfy enum value set: [UNIFORM_SCALING]")
	}
	if in.TargetShardCount < 1 {
		return nil, invalid("targetShardCount", "Member must have value greater than or equal to 1")
	}
	before := 0
	s, no := p.ask(in.streamRef, func(s *stream) *refusal {
		before = len(s.open)
		return s.scale(in.TargetShardCount, time.Now())
	})
	if no != nil {
		return nil, no
	}
	return map[string]any{
		"StreamName": s.name, "StreamARN": s.arn(c.region), "CurrentShardCount": before, "TargetShardCount": in.TargetShardCount,
	}, nil
}

// scale resizes s within the limits of UpdateShardCount.
func (s *stream) scale(n int, now time.Time) *refusal {
	s.updates = slices.DeleteFunc(s.updates, func(t time.Time) bool { return now.Sub(t) >= 24*time.Hour })
	open := len(s.open)
	over := func(what string) *refusal {
		return refuse("LimitExceededException", "UpdateShardCount cannot %s. Current open shard count: %d Target shard count: %d", what, open, n)
	}
	switch {
	case n > 2*open:
		return over("scale up over double your current open shard count")
	case 2*n < open:
		return over("scale down below half your current open shard count")
	case n > maxScaled:
		return over(fmt.Sprintf("scale up to more than %d shards", maxScaled))
	case len(s.updates) >= maxUpdates:
		return over(fmt.Sprintf("scale more than %d times a day", maxUpdates))
	}
	s.updates = append(s.updates, now)
	s.resize(n, now)
	return nil
}

type updateDistributionIn struct {
	streamRef
	RecordDistributionStrategy string
}

func (p *Pipeline) updateDistribution(_ call, in *updateDistributionIn) (any, *refusal) {
	s, no := p.find("", in.StreamARN)
	if no != nil {
		return nil, no
	}
	switch auto := in.RecordDistributionStrategy == "AUTO"; {
	case !auto && in.RecordDistributionStrategy != "USER_PARTITION_KEY":
		return nil, invalid("recordDistributionStrategy", "Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]")
	case !s.onDemand:
		return nil, refuse("InvalidArgumentException", "Stream %s under account %s is in PROVISIONED mode, which does not support record distribution strategies.", s.name, account)
	default:
		s.auto.Store(auto)
		return nil, nil
	}
}
