package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"kreplay/pkg/local"
)

// smokeDigest is for ever: a change to it means that a run of an earlier
// version is no longer regenerated, which needs a reason and a line in the changelog.
const smokeDigest = "c2360f30358207aab1449030d7e4f9913f22be331090a8de3da3d823570f4620"

// The same seed prints the same bytes, on each machine and in each version.
func TestGenIsForEver(t *testing.T) {
	h := sha256.New()
	if status := run(t.Context(), []string{"gen", "smoke", "--users", "200"}, h, io.Discard); status != exitOK {
		t.Fatalf("exit %d", status)
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != smokeDigest {
		t.Errorf("gen smoke --users 200 has SHA-256 %s, want %s", got, smokeDigest)
	}
}

const accessKey, secretKey = "AKIDRIGHT", "secret-of-the-test"

// served is a pipeline with a stream that may be written to, for those who have the key.
func served(t *testing.T) *local.Pipeline {
	t.Helper()
	l, err := listenLoopback(t.Context(), "--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := local.Start(t.Context(), l, local.Config{AccessKey: accessKey, Streams: []local.StreamSpec{
		{Name: "ours", Shards: 1, Tags: map[string]string{allowTag: "true"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// What cannot work says in one sentence what is wrong and what to do next, has
// its own status, sends nothing, leaves no run directory and shows no secret.
func TestBadInput(t *testing.T) {
	pipe := served(t)
	faults, err := txtar.ParseFile("testdata/faults.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	if err := txtar.Write(faults, files); err != nil {
		t.Fatal(err)
	}
	dead, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + dead.Addr().String()
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	for _, tc := range []struct {
		name, scenario, stream, key, url string
		status                           int
		want                             string // regular expression, of all that stands on stderr
	}{
		{"no such stream", "smoke", "none", accessKey, pipe.URL(), exitError, `^kreplay: stream "none" does not exist at http://\S+; create it, or pass --create-stream: .*\n$`},
		{"wrong credentials", "smoke", "ours", "AKIDWRONG", pipe.URL(), exitError, `^kreplay: http://\S+ refuses the credentials \(\w+\); check --profile or AWS_ACCESS_KEY_ID: .*\n$`},
		{"unreachable endpoint", "smoke", "ours", accessKey, nobody, exitError, `^kreplay: no server answers at http://\S+ \(.*\); check --endpoint-url and the network\n$`},
		{"five faults", filepath.Join(files, "bad"), "ours", accessKey, pipe.URL(), exitUsage, `^kreplay: (scenario\.yaml:(2:1|5:12|7:10|10:11|11:18): .+\n){5}$`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", tc.key)
			var stdout, stderr bytes.Buffer
			args := []string{"push", tc.scenario, "--stream", tc.stream, "--endpoint-url", tc.url, "--region", "us-east-1", "--progress", "none"}
			if status := run(t.Context(), args, &stdout, &stderr); status != tc.status {
				t.Errorf("exit %d, want %d", status, tc.status)
			}
			if got := stderr.String(); !regexp.MustCompile(tc.want).MatchString(got) || strings.Contains(got, secretKey) || stdout.Len() > 0 {
				t.Errorf("stderr %q, want %q; stdout %q, want none", got, tc.want, stdout.Bytes())
			}
		})
	}
	for _, c := range pipe.Counts() {
		if c.Records > 0 {
			t.Errorf("%d records were sent to %s", c.Records, c.Stream)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("%v left behind, %v", left, err)
	}
}
