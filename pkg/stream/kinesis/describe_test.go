package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/local"
	"kreplay/pkg/stream/kinesis"
)

var quiet = log.New(io.Discard, "", 0)

func TestDescribeReadsSettingsAndTags(t *testing.T) {
	tags := map[string]string{}
	for i := range 50 {
		tags[fmt.Sprintf("tag-%d", i)] = fmt.Sprint(i)
	}
	p := serve(t, local.Config{Streams: []local.StreamSpec{{Name: streamName, Shards: 3, MaxRecordKiB: 2048, Tags: tags}}})
	got, err := client(t, p.URL()).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if time.Since(got.Created) > time.Minute {
		t.Errorf("created %v, want just now", got.Created)
	}
	want := kinesis.Info{
		Name: streamName, ARN: "arn:aws:kinesis:eu-west-1:000000000000:stream/" + streamName, Status: "ACTIVE",
		Mode: "PROVISIONED", Encryption: "NONE", OpenShards: 3, MaxRecordBytes: 2 << 20, Retention: 24 * time.Hour, Created: got.Created, Tags: tags,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("describe (-want +got):\n%s", diff)
	}
}

func TestInfoSaysWhatMattersToSenders(t *testing.T) {
	for want, info := range map[string]kinesis.Info{
		"provisioned, updating, open shards 3, records of 2048 KiB at most": {Mode: "PROVISIONED", Status: "UPDATING", Encryption: "NONE", OpenShards: 3, MaxRecordBytes: 2 << 20},
		"on_demand, active, open shards 4, records of 1024 KiB at most, spread by the service, encrypted with KMS, 4 MiB/s warm, 10 on the way": {
			Mode: "ON_DEMAND", Status: "ACTIVE", Encryption: "KMS", OpenShards: 4, MaxRecordBytes: 1 << 20, Distribution: "AUTO", WarmMiBps: 4, WarmTargetMiBps: 10,
		},
	} {
		if got := info.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestCreateMakesATaggedStream(t *testing.T) {
	p := serve(t, local.Config{Streams: []local.StreamSpec{{Name: "other", Shards: 1}}})
	c := client(t, p.URL())
	if err := c.Create(t.Context(), 2, map[string]string{"kreplay": "yes"}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Describe(t.Context())
	if err != nil || got.OpenShards != 2 || got.Tags["kreplay"] != "yes" {
		t.Errorf("got %+v, %v, want 2 shards and the tag", got, err)
	}
	err = c.Create(t.Context(), 2, nil)
	if !errors.Is(err, kinesis.ErrInvalid) {
		t.Errorf("created twice: got %v, want ErrInvalid", err)
	}
	wantSentence(t, err, p.URL())
}

// script answers each operation with its texts in turn; the last one stays.
func script(t *testing.T, texts map[string][]string) *kinesis.Client {
	t.Helper()
	return client(t, answers(t, func(w http.ResponseWriter, r *http.Request) {
		_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		left := texts[op]
		if len(left) > 1 {
			texts[op] = left[1:]
		}
		if strings.Contains(left[0], "__type") {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, left[0])
	}).URL)
}

func summary(status string) string {
	return fmt.Sprintf(`{"StreamDescriptionSummary":{"StreamName":"events","StreamStatus":%q}}`, status)
}

func TestCreateWaitsUntilActive(t *testing.T) {
	c := script(t, map[string][]string{
		"CreateStream":          {""},
		"DescribeStreamSummary": {summary("CREATING"), summary("ACTIVE"), summary("UPDATING")},
		"ListTagsForStream":     {`{"Tags":[],"HasMoreTags":false}`},
	})
	if err := c.Create(t.Context(), 1, nil); err != nil {
		t.Error(err)
	}
	if got, err := c.Describe(t.Context()); err != nil || got.Status != "UPDATING" {
		t.Errorf("after two looks: got %q, %v, want the third", got.Status, err)
	}
}

func TestCreateStopsWaiting(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := script(t, map[string][]string{
		"CreateStream":          {""},
		"DescribeStreamSummary": {summary("CREATING")},
		"ListTagsForStream":     {`{"Tags":[],"HasMoreTags":false}`},
	})
	done := make(chan error)
	go func() { done <- c.Create(ctx, 1, nil) }()
	cancel(why)
	if err := <-done; !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v or a call that was cancelled", err, why)
	}
}

func TestDescribeReadsAllPagesOfTags(t *testing.T) {
	c := script(t, map[string][]string{
		"DescribeStreamSummary": {summary("ACTIVE")},
		"ListTagsForStream": {
			`{"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"}],"HasMoreTags":true}`,
			`{"Tags":[{"Key":"c","Value":"3"}],"HasMoreTags":false}`,
		},
	})
	got, err := c.Describe(t.Context())
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2", "c": "3"}, got.Tags); diff != "" || err != nil {
		t.Errorf("tags, %v (-want +got):\n%s", err, diff)
	}
	if got.MaxRecordBytes != 1<<20 {
		t.Errorf("record limit %d where the stream is silent, want 1 MiB", got.MaxRecordBytes)
	}
}

// What answers 200 need not be a Kinesis.
func TestDescribeOfSomethingElse(t *testing.T) {
	for name, texts := range map[string]map[string][]string{
		"empty":   {"DescribeStreamSummary": {`{}`}},
		"page":    {"DescribeStreamSummary": {"<html>\nwelcome\n</html>"}},
		"no tags": {"DescribeStreamSummary": {summary("ACTIVE")}, "ListTagsForStream": {`{"__type":"AccessDeniedException","message":"no"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := script(t, texts).Describe(t.Context())
			wantSentence(t, err, "http://127.0.0.1:")
			if name == "no tags" && !errors.Is(err, kinesis.ErrDenied) {
				t.Errorf("got %v, want ErrDenied", err)
			}
		})
	}
}
