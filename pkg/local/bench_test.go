package local_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"testing"

	"kreplay/pkg/local"
)

// body500 is a PutRecords body of 500 records of 400 bytes.
func body500() []byte {
	data := bytes.Repeat([]byte(`{"id":"0123456789abcdef","k":"value"}  `), 11)[:400]
	b := []byte(`{"Records":[`)
	for i := range 500 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"Data":%q,"PartitionKey":"user-%d"}`, base64.StdEncoding.EncodeToString(data), i)
	}
	return append(b, `],"StreamName":"events"}`...)
}

func BenchmarkPutRecords500x400(b *testing.B) {
	for _, lake := range []bool{false, true} {
		b.Run(fmt.Sprintf("lake=%v", lake), func(b *testing.B) {
			cfg := local.Config{Retain: 32 << 20, Compression: "gzip", Delimiter: "\n", Streams: []local.StreamSpec{{Name: streamName, Shards: 4}}}
			if lake {
				cfg.Lake = b.TempDir()
			}
			p := start(b, cfg)
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			body := body500()
			b.SetBytes(500 * 400)
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, p.URL(), bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecords")
				resp, err := tr.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Fatal(err, resp.Status)
				}
			}
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkScanPutRecords(b *testing.B) {
	body := body500()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, _, err := local.ScanPutRecords(body); err != nil {
			b.Fatal(err)
		}
	}
}
