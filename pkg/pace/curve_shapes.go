package pace

import "time"

// Even is a constant rate over span.
func Even(span time.Duration) Curve { return NewCurve([]Part{{span, 1}}) }

// Steps divides span into as many parts of equal length as there are weights,
// to the second. span has at least a second for each.
func Steps(span time.Duration, weights []uint64) Curve {
	parts := make([]Part, len(weights))
	seconds, n := uint64(span/time.Second), uint64(len(weights))
	for i, w := range weights {
		begin, end := seconds*uint64(i)/n, seconds*uint64(i+1)/n
		parts[i] = Part{time.Duration(end-begin) * time.Second, w}
	}
	return NewCurve(parts)
}

// Burst gives share of whole arrivals to the length that begins at, and
// spreads the others evenly over the rest of span, of which there has to be
// some. share and whole are at most 2^30.
func Burst(span, at, length time.Duration, share, whole uint64) Curve {
	before, within := uint64(at/time.Second), uint64(length/time.Second)
	after := uint64(span/time.Second) - before - within
	var parts []Part
	for _, p := range []Part{
		{at, (whole - share) * before},
		{length, share * (before + after)},
		{time.Duration(after) * time.Second, (whole - share) * after},
	} {
		if p.Length >= time.Second {
			parts = append(parts, p)
		}
	}
	return NewCurve(parts)
}

// day is how busy a mobile game is at each hour of a day: a quiet night, a
// small rise on the way to work, one at noon, and the evening, busiest at busiest.
var day = [24]uint64{
	62, 38, 22, 14, 10, 12, 22, 40, 52, 44, 42, 48,
	66, 56, 48, 50, 54, 60, 70, 82, 93, 100, 96, 82,
}

const (
	busiest = 21 // hour of the greatest weight in day
	minutes = 24 * 60
)

// Diurnal follows a mobile game's day, turned so that it is busiest at peak,
// in minutes after midnight. The clock is that of start's zone, changes to
// and from summer time included. Within an hour, rates change by the minute.
func Diurnal(start time.Time, span time.Duration, peak int) Curve {
	var parts []Part
	for at := time.Duration(0); at < span; at += time.Minute {
		length := min(time.Minute, span-at).Truncate(time.Second)
		if length == 0 {
			break
		}
		clock := start.Add(at)
		m := (clock.Hour()*60 + clock.Minute() + busiest*60 - peak + minutes) % minutes
		hour, minute := m/60, uint64(m%60)
		weight := day[hour]*(60-minute) + day[(hour+1)%24]*minute
		parts = append(parts, Part{length, weight * uint64(length/time.Second) / 60})
	}
	return NewCurve(parts)
}
