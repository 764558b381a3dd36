package pace

import "time"

// Divide returns an equal part of a profile for each of so many workers, so that all of
// them together keep to it; nil, no limit, stays nil.
func Divide(p Profile, workers uint64) Profile {
	if p == nil || workers <= 1 {
		return p
	}
	return part{p, float64(workers)}
}

type part struct {
	whole   Profile
	workers float64
}

func (p part) Rate(t time.Duration) float64 { return p.whole.Rate(t) / p.workers }
func (p part) Sum(t time.Duration) float64  { return p.whole.Sum(t) / p.workers }
