package replay

import (
	"context"
	"path/filepath"
)

// Tampered is the self-test of one stage; tamper is given the copy in which the
// faults are, before anything is accounted for. It stands for a verifier that
// sees what is not there, or does not see what is.
func Tampered(ctx context.Context, cfg SelfTestConfig, temp string, tamper func(doctored string) error) (StageProof, error) {
	cfg.Open = openDir
	res, err := open([]string{cfg.Dir}, false)
	if err != nil {
		return StageProof{}, err
	}
	t := newTrial(cfg, res, Stage{Name: "raw", Path: res.Ledger.Manifest.Stages["raw"]}, temp)
	if err := t.sample(ctx); err != nil {
		return StageProof{}, err
	}
	p, err := t.prepare(ctx)
	if err != nil {
		return StageProof{}, err
	}
	if err := tamper(filepath.Join(temp, doctoredDir)); err != nil {
		return StageProof{}, err
	}
	err = t.conclude(ctx, p)
	return t.proof, err
}
