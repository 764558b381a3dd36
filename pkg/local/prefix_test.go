package local_test

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kreplay/pkg/local"
)

// Records lie in the folder of their own values, in the hour of the zone asked for;
// those without a value are in error records. Each is in one place once.
func TestRecordsArePartitionedByTheirValues(t *testing.T) {
	dir := t.TempDir()
	tokyo := time.FixedZone("", 9*3600+30*60)
	p := start(t, local.Config{
		Lake: dir, Prefix: "raw/c=!{partitionKeyFromQuery:c}/n=!{partitionKeyFromLambda:n}/!{timestamp:yyyy-MM-dd'T'HH}/!{firehose:random-string}/", TimeZone: tokyo,
		Keys: map[string]string{"c": "where.country", "n": "n"}, Delimiter: "\n", BufferBytes: 3000,
	})
	began := time.Now().In(tokyo)
	want, bad := map[string]string{}, map[string]bool{}
	var all []types.PutRecordsRequestEntry
	for i := range 300 {
		country := []string{`"JP"`, `"Cura\u00e7ao"`, `null`, `7.50`, `".."`}[i%5]
		text := fmt.Sprintf(`{"id":%d,"where":{"country":%s},"n":%v}`, i, country, i%2 == 0)
		if i == 100 {
			text = "no JSON"
		}
		all = append(all, types.PutRecordsRequestEntry{Data: []byte(text), PartitionKey: aws.String(fmt.Sprint(i))})
		if folder := map[string]string{`"JP"`: "JP", `"Cura\u00e7ao"`: "Curaçao", "7.50": "7.50"}[country]; folder != "" && i != 100 {
			want[text] = fmt.Sprintf("raw/c=%s/n=%v/", folder, i%2 == 0)
		} else {
			bad[text] = true
		}
	}
	if _, err := client(t, p, "AKID").PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(streamName), Records: all}); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	hours := began.Format("2006-01-02T15") + " " + time.Now().In(tokyo).Format("2006-01-02T15")
	for key, object := range lake(t, dir) {
		for line := range strings.Lines(object) {
			text := strings.TrimSuffix(line, "\n")
			var failed struct {
				ErrorCode string
				RawData   []byte
			}
			if strings.HasPrefix(key, "errors/") {
				if err := json.Unmarshal([]byte(text), &failed); err != nil || failed.ErrorCode != local.UnkeyedCode || !bad[string(failed.RawData)] {
					t.Errorf("%s holds %s: %v", key, text, err)
				}
				delete(bad, string(failed.RawData))
				continue
			}
			random, hour := path.Base(path.Dir(key)), path.Base(path.Dir(path.Dir(key)))
			if folder := want[text]; folder == "" || !strings.HasPrefix(key, folder) || !strings.Contains(hours, hour) || len(random) != 11 {
				t.Errorf("%s lies in %s, want %s, an hour of %s and 11 characters", text, key, folder, hours)
			}
			delete(want, text)
		}
	}
	if len(want)+len(bad) > 0 {
		t.Errorf("%d records and %d without a value are nowhere", len(want), len(bad))
	}
}

func TestBadPrefixesAreRefused(t *testing.T) {
	for _, test := range []struct {
		prefix string
		keys   map[string]string
		want   string
	}{
		{"c=!{partitionKeyFromQuery:c}/", nil, "nothing says which field of a record gives the key c"},
		{"raw/", map[string]string{"c": "country"}, "it has no key c"},
		{"!{firehose:error-output-type}/!{timestamp:HH}/", nil, "only !{timestamp:}"},
		{"../!{timestamp:HH}/", nil, "paths inside the lake"},
	} {
		_, err := local.Start(t.Context(), listen(t), local.Config{Lake: t.TempDir(), Prefix: test.prefix, Keys: test.keys})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with %v: %v; want %q", test.prefix, test.keys, err, test.want)
		}
	}
}
