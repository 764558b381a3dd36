package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"kreplay/pkg/pace"
)

// A Profile is a limit that changes with the time since the push began, as the
// scenario has it. The zero Profile is none.
type Profile struct {
	Text  string // such as ramp 1k/s to 40k/s over 5m
	Lines string // of the file that Text names
}

// profileForms are what a Profile may be, for people.
const profileForms = "ramp A to B over TIME; steps A, B, C every TIME; sine A to B every TIME; burst A to B for TIME every TIME; or file:PATH with lines of a time and a rate"

var profiles = []struct {
	form *regexp.Regexp
	make func(rates []float64, times []time.Duration) (pace.Profile, error)
}{
	{regexp.MustCompile(`^ramp (?P<rate>\S+) to (?P<rate>\S+) over (?P<time>\S+)$`), func(r []float64, t []time.Duration) (pace.Profile, error) {
		return pace.RampRate(r[0], r[1], t[0])
	}},
	{regexp.MustCompile(`^steps (?P<rate>\S+(?:, *\S+)*) every (?P<time>\S+)$`), func(r []float64, t []time.Duration) (pace.Profile, error) {
		steps := make([]pace.Step, len(r))
		for i := range r {
			steps[i] = pace.Step{Rate: r[i], Length: t[0]}
		}
		return pace.StepRates(steps...)
	}},
	{regexp.MustCompile(`^sine (?P<rate>\S+) to (?P<rate>\S+) every (?P<time>\S+)$`), func(r []float64, t []time.Duration) (pace.Profile, error) {
		return pace.SineRate((r[0]+r[1])/2, max(r[1]-r[0], r[0]-r[1])/2, t[0])
	}},
	{regexp.MustCompile(`^burst (?P<rate>\S+) to (?P<rate>\S+) for (?P<time>\S+) every (?P<time>\S+)$`), func(r []float64, t []time.Duration) (pace.Profile, error) {
		return pace.BurstRate(r[0], r[1], t[1], t[0])
	}},
}

// isProfile says whether a limit is meant to be one that changes with time: a word
// comes first. In a rate that is a number, which may have blanks before its unit.
func isProfile(text string) bool {
	return text != "" && text != "max" && unicode.IsLetter(rune(text[0]))
}

// made is the profile as pace has it; unit reads a rate, also 0/s.
func (p Profile) made(unit func(string) (float64, error)) (pace.Profile, error) {
	if strings.HasPrefix(p.Text, "file:") {
		profile, err := pace.ReadRates(strings.NewReader(p.Lines))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Text, err)
		}
		return profile, nil
	}
	for _, f := range profiles {
		m := f.form.FindStringSubmatch(p.Text)
		if m == nil {
			continue
		}
		var rates []float64
		var times []time.Duration
		for i, name := range f.form.SubexpNames()[1:] {
			for word := range strings.SplitSeq(m[i+1], ",") {
				if err := read(strings.TrimSpace(word), name, unit, &rates, &times); err != nil {
					return nil, fmt.Errorf("%s: %w", p.Text, err)
				}
			}
		}
		profile, err := f.make(rates, times)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Text, err)
		}
		return profile, nil
	}
	return nil, fmt.Errorf("%s: want a rate that does not change, such as 40k/s, of bytes 40MB/s, or max; or one that does: %s", quote(p.Text), profileForms)
}

func read(word, kind string, unit func(string) (float64, error), rates *[]float64, times *[]time.Duration) error {
	if kind == "rate" {
		v, err := unit(word)
		*rates = append(*rates, v)
		return err
	}
	d, err := time.ParseDuration(word)
	if err != nil || d <= 0 {
		return fmt.Errorf("want a duration such as 5m, got %s", quote(word))
	}
	*times = append(*times, d)
	return nil
}

// unit reads a rate of a profile: one that may be a limit, or none at all.
func unit(limit func(node) (uint64, error)) func(string) (float64, error) {
	return func(word string) (float64, error) {
		if word == "0/s" {
			return 0, nil
		}
		if word == "max" {
			return 0, errors.New("want a rate, got max")
		}
		v, err := limit(node{shape: text, text: word})
		return float64(v), err
	}
}

// takeLimit reads a limit: a rate, max, or a profile.
func takeLimit(limit func(node) (uint64, error), place func(*Limits) (*uint64, *Profile)) func(*draft, node) error {
	return func(s *draft, n node) (err error) {
		rate, profile := place(&s.Stream.Limits)
		*rate, *profile = 0, Profile{}
		if n.shape != text || !isProfile(n.text) {
			*rate, err = limit(n)
			return err
		}
		p := Profile{Text: n.text}
		if file, ok := strings.CutPrefix(n.text, "file:"); ok {
			if p.Lines, _, err = s.beside(file); err != nil {
				return err
			}
		}
		if _, err := p.made(unit(limit)); err != nil {
			return err
		}
		*profile = p
		return nil
	}
}

// Ceilings are the limits of records and of bytes a second, by the time since
// the push began; nil: no limit.
func (l Limits) Ceilings() (records, bytes pace.Profile) {
	return ceiling(l.Rate, l.RateProfile, recordRate), ceiling(l.Bytes, l.ByteProfile, byteRate)
}

func ceiling(rate uint64, p Profile, limit func(node) (uint64, error)) pace.Profile {
	var made pace.Profile
	var err error
	switch {
	case p.Text != "":
		made, err = p.made(unit(limit))
	case rate > 0:
		made, err = pace.ConstantRate(float64(rate))
	}
	if err != nil {
		panic("scenario: a limit that Load let pass: " + err.Error())
	}
	return made
}
