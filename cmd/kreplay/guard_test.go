package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"kreplay/pkg/local"
	"kreplay/pkg/object/s3"
	"kreplay/pkg/stream/kinesis"
	"kreplay/replay"
)

// pipeline serves a stream that is not ours, one that is, and buckets.
func pipeline(t *testing.T) *local.Pipeline {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := local.Start(t.Context(), ln, local.Config{Lake: "s3://lake/raw", Buckets: []string{"runs"}, Streams: []local.StreamSpec{
		{Name: "theirs", Shards: 1}, {Name: "ours", Shards: 1, Tags: map[string]string{allowTag: "true"}},
		{Name: "each-login", Shards: 1, Tags: map[string]string{allowTag: "true"}}, {Name: "each-logout", Shards: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pipe.Close() })
	return pipe
}

// A stream that is not marked as ours is not written to, by no verb and by no
// way to name it (law 9). Each verb has its line here, or says why it needs none.
func TestNoVerbWritesToAnUnmarkedStream(t *testing.T) {
	three(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	pipe := pipeline(t)
	t.Setenv("AWS_ENDPOINT_URL", pipe.URL())
	const theirs, theirARN = "theirs", "arn:aws:kinesis:us-east-1:000000000000:stream/theirs"
	const each, eachARN = "each-{log_type}", "arn:aws:kinesis:us-east-1:000000000000:stream/each-{log_type}" // of which one is ours, one is not there
	if got := run(t.Context(), []string{"push", "smoke", "--users", "1", "--stream", "ours", "--run-dir", "mine"}, io.Discard, io.Discard); got != exitOK {
		t.Fatalf("the stream that is ours: exit %d", got)
	}
	verbs := map[string][][]string{
		"push": {
			{"smoke", "--stream", theirs}, {"smoke", "--stream", theirs, "--create-stream"}, {"smoke", "--stream", theirARN},
			{"smoke", "--stream", theirs, "--dry-run"}, {"smoke", "--stream", theirs, "--allow-stream", "ours"},
			{"three", "--stream", each, "--create-stream"}, {"three", "--set", "stream.name=" + each}, {"three", "--stream", eachARN},
			{"three", "--stream", each, "--create-stream", "--allow-stream", "each-p*"}, {"three", "--stream", each, "--dry-run"},
			{"smoke", "--set", "stream.name=theirs"}, {"smoke", "--stream", theirs, "--worker", "1/2", "--run-id", "r", "--anchor", "2026-11-01T00:00:00Z"},
		},
		"run":      {{"smoke", "--stream", theirs, "--set", "stages.raw.path=x"}, {"smoke", "--stream", theirARN, "--set", "stages.raw.path=x"}},
		"plan":     {{"smoke", "--stream", theirs}},
		"verify":   {{"mine", "--stage", "raw=s3://lake/raw", "--max-wait", "1ms"}},
		"capture":  {{"--from", "s3://lake/raw", "--user", "1", "--user-field", "user_id", "--time-field", "ts", "--type-field", "log_type", "--out", "got"}},
		"gen":      {{"smoke", "-n", "1"}},
		"scenario": {{"check", "smoke"}},
		"version":  {{}},
		"explain":  {{"mine", "0"}},
		"selftest": {{"mine", "--stage", "raw=s3://lake/raw"}},
	}
	for _, c := range (&app{stdout: io.Discard, stderr: io.Discard}).root().Commands() {
		// local serves streams of its own; these two are cobra's.
		if name := c.Name(); verbs[name] == nil && name != "local" && name != "completion" && name != "help" {
			t.Errorf("verb %s has no line here: does it leave a stream that is not ours alone?", name)
		}
	}
	before := count(pipe, "ours") // what is ours as well: where one of several streams is not, none is written to
	streams := len(pipe.Counts())
	for verb, lines := range verbs {
		for _, args := range lines {
			args = append([]string{verb}, args...)
			var said strings.Builder
			got := run(t.Context(), args, io.Discard, &said)
			if sends := verb == "push" || verb == "run"; sends && (got != exitGuard || !strings.Contains(said.String(), "kreplay:allow=true")) {
				t.Errorf("kreplay %q exits %d and says %q; want %d and the tag that is missing", args, got, &said, exitGuard)
			}
			if n := count(pipe, ""); n != before {
				t.Fatalf("kreplay %q wrote %d records", args, n-before)
			}
			if n := len(pipe.Counts()); n != streams {
				t.Fatalf("kreplay %q made %d streams although not all may be written to", args, n-streams)
			}
		}
	}
}

// three goes to a folder with a scenario of the log types login, logout and purchase.
func three(t *testing.T) {
	t.Helper()
	script, err := txtar.ParseFile("testdata/streams.txtar")
	t.Chdir(t.TempDir())
	if err := errors.Join(err, txtar.Write(script, ".")); err != nil {
		t.Fatal(err)
	}
}

func count(p *local.Pipeline, stream string) (n int64) {
	for _, c := range p.Counts() {
		if stream == "" || c.Stream == stream {
			n += c.Records
		}
	}
	return n
}

// planted are what nobody may read anywhere afterwards.
var planted = map[string]string{
	"AWS_ACCESS_KEY_ID":     "AKIAPLANTEDPLANTED77",
	"AWS_SECRET_ACCESS_KEY": "pLanTed/SeCreT+kEy0123456789abcdefghijkl",
	"AWS_SESSION_TOKEN":     "PlantedSessionToken==",
}

// Credentials appear in no log, no ledger, no report and no error, whatever is
// done and however it fails.
func TestCredentialsAppearNowhere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("TMPDIR", dir)
	for name, value := range planted {
		t.Setenv(name, value)
	}
	pipe := pipeline(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`)
	}))
	defer refusing.Close()
	const password = "PlantedPassword"
	var said bytes.Buffer
	for _, tc := range []struct {
		want int
		args []string
	}{
		{exitOK, []string{"push", "smoke", "-v", "--users", "3", "--stream", "ours", "--run-dir", "s3://runs/one", "--run-id", "one", "--progress", "json", "--endpoint-url", pipe.URL()}},
		{exitInconclusive, []string{"verify", "-v", "s3://runs/one", "--stage", "raw=s3://lake/raw", "--max-wait", "1ms", "-o", "json=report.json", "-o", "text", "--endpoint-url", pipe.URL()}},
		{exitOK, []string{"push", "smoke", "-v", "--users", "3", "--stream", "ours", "--dry-run", "--endpoint-url", pipe.URL()}},
		{exitOK, []string{"plan", "smoke", "-v", "--users", "3", "--stream", "ours", "--endpoint-url", pipe.URL()}},
		{exitError, []string{"push", "smoke", "-v", "--users", "3", "--stream", "ours", "--endpoint-url", refusing.URL}},
		{exitError, []string{"push", "smoke", "-v", "--users", "3", "--stream", "ours", "--endpoint-url", "http://127.0.0.1:1"}},
		{exitError, []string{"verify", "-v", "s3://runs/none", "--endpoint-url", pipe.URL()}},
		{exitUsage, []string{"push", "smoke", "--users", "3", "--stream", "ours", "--endpoint-url", "http://user:" + password + "@127.0.0.1:1"}},
		{exitUsage, []string{"push", "smoke", "--users", "3", "--stream", "ours", "--endpoint-url", "http://user:" + password + "@[::1"}},
		{exitUsage, []string{"verify", "s3://runs/one", "--endpoint-url", "http://user:" + password + "@127.0.0.1:1"}},
	} {
		if got := run(t.Context(), tc.args, &said, &said); got != tc.want {
			t.Errorf("kreplay %q exits %d, want %d: %s", tc.args, got, tc.want, &said)
		}
	}
	fetchAll(t, pipe.URL(), "s3://runs/one", filepath.Join(dir, "fetched"))
	texts, err := tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) < 10 || len(texts["report.json"]) == 0 || len(texts["runs/one/ledger.bin"]) == 0 {
		t.Errorf("%d files, want reports and ledgers among them", len(texts))
	}
	texts["what was printed"] = said.Bytes()
	for where, text := range texts {
		for name, secret := range planted {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s stands in %s", name, where)
			}
		}
		if bytes.Contains(text, []byte(password)) {
			t.Errorf("the password of an endpoint stands in %s:\n%s", where, text)
		}
	}
}

func fetchAll(t *testing.T, url, at, to string) {
	t.Helper()
	store, err := s3.New(localConfig(url), at, s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	n := 0
	for info, err := range store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := store.Open(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		name := filepath.Join(to, filepath.FromSlash(info.Key))
		if err := errors.Join(err, r.Close(), os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 5 {
		t.Errorf("%d objects in %s, want a run directory", n, at)
	}
}

func tree(dir string) (map[string][]byte, error) {
	texts := map[string][]byte{}
	return texts, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			texts[name], err = os.ReadFile(filepath.Join(dir, name))
		}
		return err
	})
}

// kreplay starts no other process, so nothing of it stands in the arguments of one.
func TestNoProcessIsStarted(t *testing.T) {
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "kreplay/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if from, imports, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(" "+imports+" ", " os/exec ") {
			t.Errorf("%s imports os/exec", from)
		}
	}
}

// Before a push to AWS the account and the region are shown; a stream in another
// region than requests are signed for is not written to.
func TestAccountAndRegionAreShown(t *testing.T) {
	info := kinesis.Info{Name: "actions", ARN: "arn:aws:kinesis:eu-west-1:111122223333:stream/actions", Mode: "PROVISIONED", Status: "ACTIVE", OpenShards: 4, MaxRecordBytes: 1 << 20, Encryption: "NONE"}
	for _, tc := range []struct {
		endpoint, given, region string
		quiet                   bool
		says                    string
		guarded                 bool
	}{
		{"", "actions", "eu-west-1", false, "stream actions of account 111122223333 in eu-west-1: provisioned, active, open shards 4, records of 1024 KiB at most\n", false},
		{"", info.ARN, "eu-west-1", false, "stream actions of account 111122223333 in eu-west-1: provisioned, active, open shards 4, records of 1024 KiB at most\n", false},
		{"", "actions", "eu-west-1", true, "", false},
		{"", "actions", "us-east-1", false, "", true},
		{"https://vpce-1.kinesis.us-east-1.vpce.amazonaws.com", "actions", "us-east-1", false, "", true},
		{"", "arn:aws:kinesis:eu-west-1:444455556666:stream/actions", "eu-west-1", false, "", true},
		{"http://127.0.0.1:4566", "actions", "us-east-1", false, "", false},
	} {
		t.Setenv("AWS_ENDPOINT_URL", "")
		var said strings.Builder
		err := (&app{stderr: &said, endpoint: tc.endpoint, quiet: tc.quiet}).checkPlace(tc.given, tc.region, info)
		if said.String() != tc.says || errors.Is(err, replay.ErrGuard) != tc.guarded || (err != nil) != tc.guarded {
			t.Errorf("%+v: says %q, %v", tc, &said, err)
		}
	}
	for endpoint, want := range map[string]bool{
		"": true, "https://kinesis.eu-west-1.amazonaws.com": true, "https://vpce-1.kinesis.us-east-1.vpce.amazonaws.com": true,
		"http://127.0.0.1:4566": false, "https://amazonaws.com.example.org": false, "http://localstack:4566": false,
	} {
		if got := onAWS(endpoint); got != want {
			t.Errorf("%q is AWS: %v, want %v", endpoint, got, want)
		}
	}
}

// A stream that is being made or deleted takes no records; one that reshards does.
func TestAStreamMustBeActive(t *testing.T) {
	for status, open := range map[string]bool{"ACTIVE": true, "UPDATING": true, "CREATING": false, "DELETING": false} {
		d := &door{name: "a", given: "a", info: kinesis.Info{Name: "a", Status: status, Tags: map[string]string{allowTag: "true"}}}
		err := (&app{stderr: io.Discard, endpoint: "http://127.0.0.1:1"}).admitted(d, "us-east-1", false)
		if (err == nil) != open || err != nil && !strings.Contains(err.Error(), "stream a is "+status) {
			t.Errorf("%s: %v", status, err)
		}
	}
}
