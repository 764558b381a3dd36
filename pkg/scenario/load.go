package scenario

import (
	"errors"
	"io/fs"
)

// Load reads the scenario that name stands for inside fsys: a directory with
// a scenario.yaml, or the file itself. Each of set is an override
// "dotted.key=value" and goes through the same checks. What is wrong with the
// content comes back as Faults, all at once; any other error is from fsys.
func Load(fsys fs.FS, name string, set []string) (*Scenario, error) {
	return nil, errors.ErrUnsupported
}
