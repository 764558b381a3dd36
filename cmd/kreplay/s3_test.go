package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kreplay/pkg/object"
	"kreplay/pkg/object/dir"
	"kreplay/pkg/object/s3"
)

// upload DIR S3URL puts every file of a folder into the S3 at $ENDPOINT.
func upload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: upload DIR S3URL")
	}
	from, err := dir.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = from.Close() }()
	to, err := s3.New(localConfig(ts.Getenv("ENDPOINT")), args[1], s3.Options{})
	ts.Check(err)
	defer func() { _ = to.Close() }()
	for info, err := range from.List(context.Background(), "") {
		ts.Check(err)
		ts.Check(copyObject(context.Background(), from, to, info.Key))
	}
}

func copyObject(ctx context.Context, from, to object.Store, key string) error {
	r, err := from.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := to.Create(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = w.Abort() }()
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Close()
}

// download S3URL DIR fetches every object of a place in the S3 at $ENDPOINT.
func download(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: download S3URL DIR")
	}
	from, err := s3.New(localConfig(ts.Getenv("ENDPOINT")), args[0], s3.Options{})
	ts.Check(err)
	defer func() { _ = from.Close() }()
	ts.Check(os.MkdirAll(ts.MkAbs(args[1]), 0o755))
	to, err := dir.Open(ts.MkAbs(args[1]))
	ts.Check(err)
	defer func() { _ = to.Close() }()
	for info, err := range from.List(context.Background(), "") {
		ts.Check(err)
		ts.Check(copyObject(context.Background(), from, to, info.Key))
	}
}

// The endpoint of S3 is found in the order of the AWS CLI, and apart from that of Kinesis.
func TestEndpointOrder(t *testing.T) {
	for _, c := range []struct{ flag, s3, kinesis, all, wantS3, wantKinesis string }{
		{"f", "s", "k", "a", "f", "f"},
		{"", "s", "k", "a", "s", "k"},
		{"", "", "k", "a", "a", "k"},
		{"", "s", "", "", "s", ""},
		{"", "", "", "", "", ""},
	} {
		t.Setenv("AWS_ENDPOINT_URL_S3", c.s3)
		t.Setenv("AWS_ENDPOINT_URL_KINESIS", c.kinesis)
		t.Setenv("AWS_ENDPOINT_URL", c.all)
		a := &app{endpoint: c.flag}
		if a.s3Endpoint() != c.wantS3 || a.kinesisEndpoint() != c.wantKinesis {
			t.Errorf("%+v: got %q and %q", c, a.s3Endpoint(), a.kinesisEndpoint())
		}
	}
}

// A run that was fetched leaves nothing on this machine.
func TestFetchedRunGoes(t *testing.T) {
	at := filepath.Join(t.TempDir(), "run")
	if err := os.MkdirAll(filepath.Join(at, "scenario"), 0o755); err != nil {
		t.Fatal(err)
	}
	runPlace{dir: at}.close()
	if _, err := os.Stat(at); err != nil {
		t.Errorf("a run directory of the user's is gone: %v", err)
	}
	runPlace{dir: at, temp: true}.close()
	if _, err := os.Stat(at); !os.IsNotExist(err) {
		t.Errorf("a fetched run directory is left: %v", err)
	}
}
