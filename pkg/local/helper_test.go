package local_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/goleak"

	"kreplay/pkg/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const streamName = "events"

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func start(t testing.TB, cfg local.Config) *local.Pipeline {
	t.Helper()
	if cfg.Streams == nil {
		cfg.Streams = []local.StreamSpec{{Name: streamName, Shards: 3}}
	}
	p, err := local.Start(t.Context(), listen(t), cfg)
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

// doer keeps the SDK from closing a body that the transport still reads.
type doer struct{ *http.Client }

func (d doer) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = io.NopCloser(r.Body)
	}
	return d.Client.Do(r)
}

func client(t testing.TB, p *local.Pipeline, key string) *kinesis.Client {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(tr.CloseIdleConnections)
	return kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String(p.URL()), Region: "eu-west-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
		HTTPClient:  doer{&http.Client{Transport: tr, Timeout: 20 * time.Second}},
	})
}

func text(i int) string {
	return fmt.Sprintf(`{"id":"%032x","event":"purchase","n":%d}`, i*7919, i)
}

func entries(from, to int) []types.PutRecordsRequestEntry {
	var all []types.PutRecordsRequestEntry
	for i := from; i < to; i++ {
		all = append(all, types.PutRecordsRequestEntry{Data: []byte(text(i)), PartitionKey: aws.String(fmt.Sprint("user-", i))})
	}
	return all
}

// put sends texts from..to-1 in calls of 100 and returns how many calls failed.
func put(t testing.TB, c *kinesis.Client, from, to int) (failed int) {
	t.Helper()
	for ; from < to; from += 100 {
		_, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{
			StreamName: aws.String(streamName), Records: entries(from, min(from+100, to)),
		})
		if err != nil {
			failed++
		}
	}
	return failed
}

// names lists the keys of the visible objects.
func names(t testing.TB, dir string) (keys []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && (e.IsDir() || strings.HasPrefix(e.Name(), ".")) {
			return nil
		}
		key, _ := filepath.Rel(dir, path)
		keys = append(keys, filepath.ToSlash(key))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// lakeObject reads an object. A damaged gzip gives what is readable.
func lakeObject(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return string(b)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	b, _ = io.ReadAll(z) // a truncated object ends in an error
	return string(b)
}

// readable tells whether a gzip object decompresses without an error.
func readable(t testing.TB, dir, key string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, key))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, z)
	return err == nil
}

// lake returns what the objects hold, by key.
func lake(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range names(t, dir) {
		all[key] = lakeObject(t, filepath.Join(dir, key))
	}
	return all
}

// rows counts the lines of all objects.
func rows(objects map[string]string) map[string]int {
	n := map[string]int{}
	for _, o := range objects {
		for l := range strings.Lines(o) {
			n[strings.TrimSuffix(l, "\n")]++
		}
	}
	return n
}

func flush(t testing.TB, p *local.Pipeline) {
	t.Helper()
	if err := p.Flush(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}
