package local

// shardFilter is the ShardFilter of ListShards.
type shardFilter struct {
	Type      string
	ShardId   string   // of AFTER_SHARD_ID
	Timestamp *float64 // of AT_TIMESTAMP and FROM_TIMESTAMP, seconds
}

func (f *shardFilter) check() *refusal {
	stamped, named := false, false
	switch f.Type {
	case "AFTER_SHARD_ID":
		named = true
	case "AT_TIMESTAMP", "FROM_TIMESTAMP":
		stamped = true
	case "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST":
	default:
		return invalid("shardFilter.type", "Member must satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]")
	}
	if (f.ShardId != "") != named {
		return refuse("InvalidArgumentException", "ShardFilter of type %s and ShardId %q do not go together.", f.Type, f.ShardId)
	}
	if (f.Timestamp != nil) != stamped {
		return refuse("InvalidArgumentException", "ShardFilter of type %s needs a Timestamp, or must not have one.", f.Type)
	}
	return nil
}

// expired: the shard is closed and none of its records are kept.
func (sh *shard) expired(horizon uint64) bool { return sh.last > 0 && sh.last < horizon }

// keeps tells whether f lists sh, when records below horizon are forgotten.
func (f *shardFilter) keeps(sh *shard, horizon uint64) bool {
	if sh.expired(horizon) && f.Type != "FROM_TIMESTAMP" { // there, what is forgotten is asked for by its time
		return false
	}
	switch open := sh.last == 0; f.Type {
	case "AT_LATEST":
		return open
	case "AT_TRIM_HORIZON":
		return sh.first <= horizon
	case "AT_TIMESTAMP":
		at := int64(*f.Timestamp * 1000)
		return sh.opened <= at && (open || sh.closed >= at)
	case "FROM_TIMESTAMP":
		return open || sh.closed >= int64(*f.Timestamp*1000)
	}
	return true
}

// list describes up to limit shards behind the one named after, and tells whether there are more.
func (s *stream) list(after string, limit int, f shardFilter) (all []any, more bool, last string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all = []any{}
	for _, sh := range s.shards[max(s.after(after), s.after(f.ShardId)):] {
		if !f.keeps(sh, s.horizon) {
			continue
		}
		if len(all) == limit {
			return all, true, last
		}
		all, last = append(all, sh.describe()), sh.id
	}
	return all, false, last
}

type listShardsIn struct {
	streamRef
	NextToken, ExclusiveStartShardId string
	StreamCreationTimestamp          *float64
	MaxResults                       *int
	ShardFilter                      *shardFilter
}

func (p *Pipeline) listShards(_ call, in *listShardsIn) (any, *refusal) {
	var stamp int64
	if in.NextToken != "" {
		t, no := in.resume()
		if no != nil {
			return nil, no
		}
		stamp = t.Stamp
	}
	s, no := p.find(in.StreamName, in.StreamARN)
	if no != nil {
		return nil, no
	}
	if stamp != 0 && s.created.UnixNano() != stamp {
		return nil, notFound(s.name)
	}
	limit := 1000 // default and maximum (API_ListShards)
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > 10_000 {
		return nil, invalid("maxResults", "Member must have value between 1 and 10000")
	}
	filter := shardFilter{Type: "FROM_TRIM_HORIZON"}
	if in.ShardFilter != nil {
		filter = *in.ShardFilter
	}
	if no := filter.check(); no != nil {
		return nil, no
	}
	shards, more, last := s.list(in.ExclusiveStartShardId, min(limit, 1000), filter)
	out := map[string]any{"Shards": shards}
	if more {
		t := s.token(last, 0)
		t.Filter = &filter
		out["NextToken"] = t.text()
	}
	return out, nil
}

// resume replaces what in asks for by what its NextToken says.
func (in *listShardsIn) resume() (t token, no *refusal) {
	if in.StreamName != "" || in.ExclusiveStartShardId != "" || in.StreamCreationTimestamp != nil || in.ShardFilter != nil {
		return t, refuse("InvalidArgumentException", "NextToken and StreamName, StreamCreationTimestamp, ExclusiveStartShardId or ShardFilter cannot be provided together.")
	}
	t, ok := parseToken(in.NextToken)
	if !ok {
		return t, refuse("InvalidArgumentException", "NextToken is invalid.")
	}
	if t.old(tokenLife) {
		return t, refuse("ExpiredNextTokenException", "NextToken has expired.")
	}
	in.StreamName, in.ExclusiveStartShardId, in.ShardFilter = t.Stream, t.Shard, t.Filter
	return t, nil
}
