package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"kreplay/pkg/generate"
	"kreplay/pkg/object"
	"kreplay/pkg/report"
)

// SelfTestConfig says on what of which run the verifier is tried.
type SelfTestConfig struct {
	Dir     string            // run directory; the copies lie beside it meanwhile
	Copy    bool              // Dir was fetched from a copy, which may lag behind the run; see Fetch
	Stages  map[string]string // where the stages lie; nil: as the manifest says
	Objects int               // of each stage, drawn by Seed; 0: all
	Faults  int               // rows planted of each class; 0: 3
	Seed    uint64            // decides what is drawn and planted
	Workers int               // objects read at a time; 0: 2
	Observe func(Progress)
	Open    func(ctx context.Context, path string) (object.Store, io.Closer, error) // nil: every path is a directory
}

// sampleBytes bounds the stored bytes of a stage's sample. Two copies of it lie
// on the disk at a time.
const sampleBytes = 256 << 20

// defaultFaults of each class of rows are enough to see whether it is found.
const defaultFaults = 3

// A StageProof is what came of the faults that were planted in one stage. Its JSON
// keys are stable.
type StageProof struct {
	Name       string       `json:"name"`
	Path       string       `json:"path"`
	Objects    int          `json:"objects"` // in the sample
	Of         int          `json:"of"`      // that the stage holds since the run began
	Rows       uint64       `json:"rows"`    // in the sample
	Classes    []ClassProof `json:"classes"`
	Unexpected int          `json:"unexpected"` // differences that nothing planted explains, and effects of faults that did not show
	Examples   []string     `json:"examples,omitempty"`
	Err        string       `json:"error,omitempty"` // the stage could not be read: nothing is proven
}

// A ClassProof is one class of faults.
type ClassProof struct {
	Class   string `json:"class"`
	Planted int    `json:"planted"`
	Found   int    `json:"found"`
	Note    string `json:"note,omitempty"`
}

// Verdict is pass when exactly what was planted was found, inconclusive when
// nothing could be planted.
func (p StageProof) Verdict() report.Verdict {
	planted, exact := 0, p.Unexpected == 0
	for _, c := range p.Classes {
		planted += c.Planted
		exact = exact && c.Found == c.Planted
	}
	switch {
	case p.Err != "":
		return report.Inconclusive
	case !exact:
		return report.Fail
	case planted == 0:
		return report.Inconclusive
	}
	return report.Pass
}

// SelfTest proves the verifier on a run's own data: it copies a sample of what
// was delivered, plants faults of every class in a second copy, accounts for both
// as Verify does, and compares. Records outside the sample are absent from both, so
// that they cancel. Nothing of the run or its stages is changed.
func SelfTest(ctx context.Context, cfg SelfTestConfig) (proofs []StageProof, err error) {
	if cfg.Open == nil {
		cfg.Open = openDir
	}
	if cfg.Faults == 0 {
		cfg.Faults = defaultFaults
	}
	res, err := open([]string{cfg.Dir}, cfg.Copy)
	if err != nil {
		return nil, err
	}
	stages := cfg.Stages
	if stages == nil {
		stages = res.Ledger.Manifest.Stages
	}
	for _, name := range sortedKeys(stages) {
		if name == errorStage || name == streamStage {
			continue // error records, of which the account knows no faults; nothing can be planted in a stream
		}
		p, err := proveStage(ctx, cfg, res, name, stages)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, p)
	}
	if len(proofs) == 0 {
		return nil, errors.New("replay: the run names no stage to try the verifier on; give the lake's folder with --stage raw=DIR")
	}
	return proofs, nil
}

// trial is the self-test of one stage.
type trial struct {
	cfg    SelfTestConfig
	res    *Result
	stage  Stage
	within []string   // prefixes of keys that are another stage's
	place  *partition // nil: anywhere
	rules  *generate.Comparer
	dice   *rand.Rand
	temp   string // holds clean, doctored and the lists of differences

	columns map[string]bool // by key: its rows were read from columns that have types

	proof StageProof
}

func proveStage(ctx context.Context, cfg SelfTestConfig, res *Result, name string, paths map[string]string) (proof StageProof, err error) {
	temp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(cfg.Dir)), ".kreplay-selftest-")
	if err != nil {
		return proof, fmt.Errorf("replay: copies for the self-test: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	t := newTrial(cfg, res, Stage{Name: name, Path: paths[name]}, temp)
	t.within = within(paths, name)
	if err := t.sample(ctx); err != nil {
		if ctx.Err() != nil {
			return proof, context.Cause(ctx)
		}
		t.proof.Err = err.Error() // law 5
		return t.proof, nil
	}
	err = t.run(ctx)
	return t.proof, err
}

func newTrial(cfg SelfTestConfig, res *Result, s Stage, temp string) *trial {
	t := &trial{
		cfg: cfg, res: res, stage: s, temp: temp, columns: map[string]bool{}, rules: res.rules(s.Name),
		place: res.place(s.Name), dice: rand.New(rand.NewPCG(cfg.Seed, 0x73656c6674657374)), proof: StageProof{Name: s.Name, Path: s.Path},
	}
	t.stage.Partitioned = t.place != nil
	return t
}

func (t *trial) run(ctx context.Context) error {
	p, err := t.prepare(ctx)
	if err != nil {
		return err
	}
	return t.conclude(ctx, p)
}

// prepare plants faults in a copy of the sample.
func (t *trial) prepare(ctx context.Context) (*plantings, error) {
	objects, pool, err := t.survey(ctx)
	if err != nil {
		return nil, err
	}
	wanted := t.wanted(objects, pool)
	if err := t.fates(ctx, wanted); err != nil {
		return nil, err
	}
	if err := t.count(ctx, wanted); err != nil {
		return nil, err
	}
	p, err := t.plant(objects, pool, wanted)
	if err != nil {
		return nil, err
	}
	return p, t.doctor(ctx, objects, p)
}

// conclude accounts for both copies and holds the difference against what was planted.
func (t *trial) conclude(ctx context.Context, p *plantings) error {
	before, err := t.account(ctx, cleanDir)
	if err != nil {
		return err
	}
	defer func() { _ = before.acc.Close() }()
	after, err := t.account(ctx, doctoredDir)
	if err != nil {
		return err
	}
	defer func() { _ = after.acc.Close() }()
	changed, err := t.compare(before, after, p)
	if err != nil { // not of a store, nor of ctx: the account itself is at fault
		t.unexpected(err.Error(), 1)
		return nil
	}
	t.judge(p, changed, before, after)
	return nil
}
