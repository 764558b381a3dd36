package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kreplay/pkg/report"
	"kreplay/replay"
)

func (a *app) selftestCommand() *cobra.Command {
	var stages []string
	var cfg replay.SelfTestConfig
	var asJSON bool
	c := &cobra.Command{
		Use: "selftest RUN", Short: "Prove the verifier on a run's own data: plant faults in a copy and look for exactly those",
		Long: `Copy a sample of what was delivered, plant faults of every class in a second copy, account for
both as verify does, and compare: each fault has to be found, and nothing else.

  drop       a row is gone                      truncate   an object ends within a record
  duplicate  a row stands there twice           move       an object lies in another partition
  corrupt    a byte of a value is another       foreign    rows of other producers and other runs
                                                stranger   rows of our run tag that were not planned

The copies lie beside the run directory meanwhile, at most 256 MiB of objects as stored each. Nothing
of the run or of its stages is changed. Exit 0: exactly what was planted was found. 1: not so, which is
a bug in kreplay. 4: nothing could be planted.`,
		Example: "  kreplay run smoke --local --run-dir runs/one\n  kreplay selftest runs/one",
		Args:    one("run directory"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if cfg.Objects < 0 || cfg.Faults < 1 {
				return usagef("--objects %d, --faults %d: want 0 or more objects, 1 fault or more", cfg.Objects, cfg.Faults)
			}
			if cfg.Stages, err = parseStages(stages); err != nil {
				return err
			}
			where, err := a.fetchRun(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer where.close()
			cfg.Dir, cfg.Copy, cfg.Observe, cfg.Open = where.dir, where.temp, a.observer(), a.openPlace
			proofs, err := replay.SelfTest(c.Context(), cfg)
			if err != nil {
				return err
			}
			return a.prove(proofs, asJSON)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&stages, "stage", nil, "where a stage lies, as NAME=DIR or NAME=s3://BUCKET/PREFIX (repeatable; default: as pushed)")
	f.IntVar(&cfg.Objects, "objects", 20, "objects of each stage to copy, drawn at random; 0: all")
	f.IntVar(&cfg.Faults, "faults", 3, "rows to plant of each class")
	f.Uint64Var(&cfg.Seed, "seed", 1, "decides which objects and rows")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// prove prints what came of the faults and turns it into the exit status.
func (a *app) prove(proofs []replay.StageProof, asJSON bool) error {
	status := exitOK
	for _, p := range proofs {
		switch v := p.Verdict(); {
		case v == report.Fail:
			status = exitFailed
		case v != report.Pass && status == exitOK:
			status = exitInconclusive
		}
	}
	var err error
	if asJSON {
		err = writeProofJSON(a.stdout, proofs)
	} else {
		for _, p := range proofs {
			err = errors.Join(err, writeProof(a.stdout, p))
		}
	}
	if err != nil || status == exitOK {
		return err
	}
	return verdictError{status}
}

func writeProofJSON(w io.Writer, proofs []replay.StageProof) error {
	type stage struct {
		Verdict report.Verdict `json:"verdict"`
		replay.StageProof
	}
	list := []stage{}
	for _, p := range proofs {
		list = append(list, stage{p.Verdict(), p})
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		Format int     `json:"format"`
		Stages []stage `json:"stages"`
	}{1, list})
}

func writeProof(w io.Writer, p replay.StageProof) error {
	var b strings.Builder
	planted := 0
	for _, c := range p.Classes {
		planted += c.Planted
	}
	switch p.Verdict() {
	case report.Pass:
		fmt.Fprintf(&b, "PASS %s: all of %s found, and nothing else\n", p.Name, plural(planted, "planted fault"))
	case report.Fail:
		fmt.Fprintf(&b, "FAIL %s: what was found is not what was planted; this is a bug in kreplay, please report it with what follows\n", p.Name)
	default:
		fmt.Fprintf(&b, "INCONCLUSIVE %s: %s\n", p.Name, doubt(p))
	}
	if p.Err == "" {
		fmt.Fprintf(&b, "sample: %s of %d, %s\n\n", plural(p.Objects, "object"), p.Of, plural(int(p.Rows), "row"))
		t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, "class\tplanted\tfound")
		for _, c := range p.Classes {
			note := ""
			if c.Note != "" {
				note = "\t" + c.Note
			}
			fmt.Fprintf(t, "%s\t%d\t%d%s\n", c.Class, c.Planted, c.Found, note)
		}
		fmt.Fprintf(t, "anything else\t0\t%d\n", p.Unexpected)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, e := range p.Examples {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func doubt(p replay.StageProof) string {
	if p.Err != "" {
		return p.Err
	}
	return "nothing could be planted: the sample holds no record of the run; take more with --objects, or verify first that anything was delivered"
}
