package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/object/s3"
	"kreplay/replay"
)

// A place of objects is named by a folder or by s3://BUCKET/PREFIX.

func inS3(path string) bool { return strings.HasPrefix(path, s3.Scheme) }

// checkPlace makes a name that cannot be one in S3 an error of the command line.
func checkPlace(flag, path string) error {
	if !inS3(path) {
		return nil
	}
	if _, _, err := s3.Parse(path); err != nil {
		return usagef("%s: %v", flag, err)
	}
	return nil
}

// openPlace opens a place of objects; the closer is for what the store holds.
func (a *app) openPlace(ctx context.Context, path string) (object.Store, io.Closer, error) {
	if !inS3(path) {
		s, err := dir.Open(path)
		if err != nil {
			return nil, nil, err // and no store that is a nil *dir.Store
		}
		return s, s, nil
	}
	s, err := a.openS3(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	return s, s, nil
}

func (a *app) openS3(ctx context.Context, path string) (*s3.Store, error) {
	if err := checkPlace("S3", path); err != nil {
		return nil, err
	}
	cfg, err := a.awsConfig(ctx, a.s3Endpoint())
	if err != nil {
		return nil, err
	}
	return s3.New(cfg, path, s3.Options{})
}

const (
	reportFile      = "report.json"
	differencesFile = "differences.ndjson"
	runDirUsage     = "run directory, or s3://BUCKET/PREFIX to keep a copy of it there as it grows; {run} in it is the run's id (default runs/<id>)"
)

// runPlace is a run directory on this machine, with its copy in S3 where one was asked for.
type runPlace struct {
	dir   string
	store *s3.Store // of the copy; nil: there is none
	name  string    // of the copy
	temp  bool      // dir was fetched, and goes with close
	copy  *replay.Copy
}

// named puts the run's id into a place that does not know it yet: a job on AWS
// Batch has its id when it is submitted.
func named(place, id string) string { return strings.ReplaceAll(place, "{run}", id) }

// placeRun says where a new run is kept.
func (a *app) placeRun(ctx context.Context, given, id string) (runPlace, error) {
	p := runPlace{}
	if err := checkRunID(id); err != nil {
		return p, err
	}
	given = named(given, id)
	if inS3(given) {
		store, err := a.openS3(ctx, given)
		if err != nil {
			return p, err
		}
		p.store, p.name, given = store, given, ""
	}
	var err error
	p.dir, err = runDir(given, id)
	return p, err
}

// fetchRun finds the run that an argument names, and brings it here if it is in S3.
func (a *app) fetchRun(ctx context.Context, given string) (runPlace, error) {
	if !inS3(given) {
		return runPlace{dir: given}, nil
	}
	store, err := a.openS3(ctx, given)
	if err != nil {
		return runPlace{}, err
	}
	p := runPlace{store: store, name: given, temp: true}
	if p.dir, err = os.MkdirTemp("", "kreplay-run-"); err != nil {
		p.close()
		return p, fmt.Errorf("run directory: %w", err)
	}
	p.copy = replay.CopyTo(p.dir, store)
	if err := p.copy.Update(ctx); err != nil {
		p.close()
		return p, fmt.Errorf("%s: %w", given, err)
	}
	return p, nil
}

// mirror is where Push keeps a copy; nil: nowhere.
func (p runPlace) mirror() object.Store {
	if p.store == nil {
		return nil // not a nil *s3.Store, which would be a store
	}
	return p.store
}

// upload brings what a verification left to the copy.
func (p runPlace) upload(ctx context.Context) error {
	if p.store == nil {
		return nil
	}
	if err := replay.Upload(ctx, p.store, p.dir, reportFile, differencesFile); err != nil {
		return err
	}
	return p.keep(ctx)
}

// keepMost is for what a verify that was stopped leaves: AWS Batch and Kubernetes
// kill after 30 s, and up to 5 s are gone for what was being read.
const keepMost = 20 * time.Second

// keep brings what the next verify goes on from to the copy, also when ctx has ended.
func (p runPlace) keep(ctx context.Context) error {
	if p.store == nil {
		return nil
	}
	if ctx.Err() != nil {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(context.WithoutCancel(ctx), keepMost)
		defer stop()
	}
	return replay.UploadState(ctx, p.store, p.dir)
}

// close drops what is only needed meanwhile.
func (p runPlace) close() {
	if p.store != nil {
		_ = p.store.Close() // idle connections only
	}
	if p.temp && p.dir != "" {
		_ = os.RemoveAll(p.dir) // what is left of it is the system's to clean
	}
}

// stopped says how to go on with a push that began and did not end; another error
// stays as it is.
func stopped(err error, where runPlace) error {
	switch {
	case !errors.Is(err, replay.ErrKept):
		return err
	case where.temp: // what was fetched is gone in a moment
		return fmt.Errorf("%w in %s, go on with the same command", err, where)
	}
	hint := "kreplay push --resume " + where.dir
	if where.name != "" {
		hint += " --run-dir " + where.name
	}
	return fmt.Errorf("%w, go on with: %s", err, hint)
}

func (p runPlace) String() string {
	if p.name != "" {
		return p.name
	}
	return p.dir
}
