package kinesis_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kreplay/pkg/local"
	"kreplay/pkg/record"
	"kreplay/pkg/stream"
	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

func TestClientIsASink(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		for name, cfg := range map[string]local.Config{
			"plain":           {},
			"entries refused": {Faults: local.Faults{Seed: 1, Of: 9000, Throttle: 900}},
			"answers lost":    {Faults: local.Faults{Seed: 1, LostEvery: 3}},
			"answers reset":   {Faults: local.Faults{Seed: 1, LostEvery: 3, LostMode: local.LostReset}},
		} {
			t.Run(name, func(t *testing.T) {
				streamtest.Sink(t, func(t *testing.T) (stream.Sink, func() int) {
					p := serve(t, cfg)
					return client(t, p.URL()), func() int { return stored(p) }
				})
			})
			t.Run(name+", in pairs", func(t *testing.T) {
				streamtest.Sink(t, func(t *testing.T) (stream.Sink, func() int) {
					p := serve(t, cfg)
					return streamtest.Halves{Pairer: client(t, p.URL())}, func() int { return stored(p) }
				})
			})
		}
	})
}

// Neither the SDK nor net/http sends anything again behind our back.
func TestNothingIsStoredTwice(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		const batches = 40
		p := serve(t, local.Config{})
		c := client(t, p.URL())
		var wg sync.WaitGroup
		for b := range batches {
			wg.Go(func() {
				out, err := c.Put(t.Context(), streamtest.Records(b*500, 500, 400))
				if n := streamtest.Fates(out); err != nil || n[record.Acked] != 500 {
					t.Errorf("batch %d: %v, %v", b, n, err)
				}
			})
		}
		wg.Wait()
		if n := stored(p); n != batches*500 {
			t.Errorf("stored %d of %d", n, batches*500)
		}
	})
}

// The SDK closes a request's body as soon as the answer's headers are there;
// what is still on its way must not be lost by it (keepBody).
func TestBodyOutlivesTheHeaders(t *testing.T) {
	got := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := http.NewResponseController(w)
		_ = answer.EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = answer.Flush()
		n, err := io.Copy(io.Discard, r.Body)
		got <- fmt.Sprint(n == r.ContentLength, err)
		_, _ = io.WriteString(w, `{"FailedRecordCount":0,"Records":[`+strings.Repeat(entry+",", 8)+entry+`]}`)
	}))
	t.Cleanup(s.Close)
	recs := streamtest.Records(0, 9, 1<<20)
	out, err := client(t, s.URL).Put(t.Context(), recs)
	if err != nil || streamtest.Fates(out)[record.Acked] != len(recs) {
		t.Errorf("got %v, %v: %v, want all acked", streamtest.Fates(out), err, out[0].Err)
	}
	if all := <-got; all != "true <nil>" {
		t.Errorf("the server read all: %s", all)
	}
}

func TestThrottledEntriesAreRefused(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		p := serve(t, local.Config{Faults: local.Faults{Seed: 3, Of: 100, Throttle: 40}})
		c := client(t, p.URL())
		recs := streamtest.Records(0, 100, 100)
		out, err := c.Put(t.Context(), recs)
		streamtest.Check(t, recs, out)
		if n := streamtest.Fates(out); err != nil || n[record.Refused] != 40 || n[record.Acked] != 60 || stored(p) != 60 {
			t.Errorf("got %v, %v, %d stored, want 40 refused and 60 acked and stored", n, err, stored(p))
		}
		for _, o := range out {
			if o.Fate == record.Refused && (o.Code != "ProvisionedThroughputExceededException" || o.Err.Error() == "") {
				t.Errorf("got %+v, want the service's code and text", o)
			}
		}
		if _, err := c.Put(t.Context(), recs); err != nil || stored(p) != 160 {
			t.Errorf("got %v, %d stored, want 160", err, stored(p))
		}
	})
}

func TestLostAnswersAreUnknown(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		for mode, code := range map[string]string{local.LostError: "http-500", local.LostReset: "reset"} {
			p := serve(t, local.Config{Faults: local.Faults{LostEvery: 2, LostMode: mode}})
			c := client(t, p.URL())
			if out, err := c.Put(t.Context(), streamtest.Records(0, 5, 100)); err != nil || streamtest.Fates(out)[record.Acked] != 5 {
				t.Errorf("%s: first put: %v, %v", mode, out, err)
			}
			_ = wantAll(t, c, record.Unknown, code, false)
			if n := stored(p); n != 10 {
				t.Errorf("%s: stored %d, want 10: a lost answer hides stored records", mode, n)
			}
		}
	})
}

// Who says that it took too long does not say that nothing was stored.
func TestATimeoutThatIsAnswered(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusRequestTimeout)
			_, _ = io.WriteString(w, `{"__type":"RequestTimeoutException","message":"too slow"}`)
		})
		_ = wantAll(t, client(t, s.URL), record.Unknown, "http-408", false)
	})
}

// entry is an answer to a record that was stored.
const entry = `{"SequenceNumber":"1","ShardId":"shardId-000000000000"}`

// Nobody can rely on such an answer: the records may be stored.
func TestBrokenAnswersAreUnknown(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		for name, body := range map[string]string{
			"truncated":   `{"FailedRecordCount":0,"Records":[` + entry + `,`,
			"fewer":       `{"FailedRecordCount":0,"Records":[` + entry + `]}`,
			"more":        `{"FailedRecordCount":0,"Records":[` + strings.Join(slices.Repeat([]string{entry}, 6), ",") + `]}`,
			"none":        `{}`,
			"no sequence": `{"FailedRecordCount":0,"Records":[{},{},{},{},{}]}`,
			"page":        `<html>welcome</html>`,
		} {
			t.Run(name, func(t *testing.T) {
				s := answers(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
				_ = wantAll(t, client(t, s.URL), record.Unknown, "broken-answer", false)
			})
		}
	})
}

// An answer that breaks off on the wire hides as much.
func TestShortAnswerIsUnknown(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"FailedRecordCount":0,`)
		})
		_ = wantAll(t, client(t, s.URL), record.Unknown, "broken-answer", false)
	})
}

// An answer has an end that is known beforehand: what is longer than any is none.
func TestEndlessAnswerIsUnknown(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.TrimSuffix(full(5), "}")+`,"pad":"`)
			for range 9 << 4 {
				_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
			}
			_, _ = io.WriteString(w, `"}`)
		})
		_ = wantAll(t, client(t, s.URL), record.Unknown, "broken-answer", false)
	})
}

// An error is no answer, whatever its status.
func TestErrorIn200IsUnknown(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		for _, status := range []int{200, 201, 204} {
			s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"__type":"ProvisionedThroughputExceededException","message":"slow down"}`)
			})
			_ = wantAll(t, client(t, s.URL), record.Unknown, "broken-answer", false)
		}
	})
}

// Only a throttled entry is surely not stored.
func TestEntryFailuresAreUnknown(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		failed := `{"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure."}`
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"FailedRecordCount":5,"Records":[`+strings.Join(slices.Repeat([]string{failed}, 5), ",")+`]}`)
		})
		_ = wantAll(t, client(t, s.URL), record.Unknown, "InternalFailure", false)
	})
}

// A throttle of another kind is one too.
func TestThrottledKeyIsRefused(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		failed := `{"ErrorCode":"KMSThrottlingException","ErrorMessage":"Rate exceeded."}`
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"FailedRecordCount":5,"Records":[`+strings.Join(slices.Repeat([]string{failed}, 5), ",")+`]}`)
		})
		_ = wantAll(t, client(t, s.URL), record.Refused, "KMSThrottlingException", false)
	})
}

func TestRefusedCalls(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		named := func(code string) string { return fmt.Sprintf(`{"__type":%q,"message":"because"}`, code) }
		for _, c := range []struct {
			status int
			body   string
			code   string
			err    error // nil: not fatal
		}{
			{413, named("RequestEntityTooLargeException"), "too-large", nil},
			{413, "<html>\nnginx\n</html>", "too-large", nil},
			{400, named("InvalidArgumentException"), "http-400", kinesis.ErrInvalid},
			{400, `{"__type":"InvalidArgumentException","message":"Records size exceeds 10 MB limit"}`, "too-large", nil},
			{400, `{"__type":"ValidationException","message":"1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"}`, "too-large", nil},
			{400, `{"__type":"ValidationException","message":"1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"}`, "http-400", kinesis.ErrInvalid},
			{400, `{"__type":"ValidationException","message":"1 validation error detected: Value at 'records.1.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576"}`, "http-400", kinesis.ErrInvalid},
			{400, named("ValidationException"), "http-400", kinesis.ErrInvalid},
			{400, named("AccessDeniedException"), "http-400", kinesis.ErrDenied},
			{400, named("ResourceNotFoundException"), "http-400", kinesis.ErrNoStream},
			{400, named("KMSDisabledException"), "http-400", kinesis.ErrDenied},
			{400, named("KMSAccessDeniedException"), "http-400", kinesis.ErrDenied},
			{400, named("ExpiredTokenException"), "expired-credentials", nil},
			{403, named("ExpiredTokenException"), "expired-credentials", nil},
			{403, named("MissingAuthenticationTokenException"), "http-403", kinesis.ErrCredentials},
			{400, named("ProvisionedThroughputExceededException"), "throttled", nil},
			{400, named("LimitExceededException"), "throttled", nil},
			{400, named("KMSThrottlingException"), "throttled", nil},
			{429, "{}", "throttled", nil},
		} {
			t.Run(c.code+" "+c.body, func(t *testing.T) {
				s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.body)
				})
				err := wantAll(t, client(t, s.URL), record.Refused, c.code, c.err != nil)
				if !errors.Is(err, c.err) {
					t.Errorf("got %v, want %v", err, c.err)
				}
				if err != nil {
					wantSentence(t, err, s.URL)
				}
			})
		}
	})
}

// A proxy in between answers in its own way, over several lines.
func TestProxyPagesAreOneSentence(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		for status, body := range map[int]string{407: "<html>\n<body>\n407 Proxy Authentication Required\n</html>\n", 400: "{\"__type\":\"ValidationException\",\"message\":\"two\\nlines\"}"} {
			s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})
			err := wantAll(t, client(t, s.URL), record.Refused, fmt.Sprintf("http-%d", status), true)
			wantSentence(t, err, s.URL)
			if !errors.Is(err, kinesis.ErrInvalid) {
				t.Errorf("%d: got %v, want ErrInvalid", status, err)
			}
		}
	})
}

func TestServerFaultsAreUnknown(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		for _, status := range []int{500, 502, 503, 504} {
			s := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			_ = wantAll(t, client(t, s.URL), record.Unknown, fmt.Sprintf("http-%d", status), false)
		}
	})
}

func TestOversizedRecordIsFatal(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		p := serve(t, local.Config{})
		out, err := client(t, p.URL()).Put(t.Context(), streamtest.Records(0, 1, 1<<20+1))
		if !errors.Is(err, kinesis.ErrInvalid) || out[0].Fate != record.Refused || stored(p) != 0 {
			t.Errorf("got %v, %v, %d stored, want it refused for good", out, err, stored(p))
		}
		wantSentence(t, err, p.URL())
	})
}

func TestWrongKeyAndNoStream(t *testing.T) {
	overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
		for name, c := range map[string]struct {
			cfg  local.Config
			want error
		}{
			"key":    {local.Config{AccessKey: "AKIAOTHER"}, kinesis.ErrCredentials},
			"stream": {local.Config{Streams: []local.StreamSpec{{Name: "other", Shards: 1}}}, kinesis.ErrNoStream},
		} {
			t.Run(name, func(t *testing.T) {
				p := serve(t, c.cfg)
				k := client(t, p.URL())
				_, described := k.Describe(t.Context())
				put := wantAll(t, k, record.Refused, "http-400", true)
				for _, err := range []error{described, put} {
					if !errors.Is(err, c.want) {
						t.Errorf("got %v, want %v", err, c.want)
					}
					wantSentence(t, err, p.URL())
				}
			})
		}
	})
}

// The service's clock is read off its answers, those that refuse among them.
func TestClockIsReadOffAnswers(t *testing.T) {
	const ahead = 90 * time.Minute
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"FailedRecordCount":0,"Records":[`+entry+`]}`)
	}))
	t.Cleanup(s.Close)
	c := client(t, s.URL)
	if c.Offset().Known() {
		t.Errorf("%v before any answer", c.Offset())
	}
	for _, status = range []int{http.StatusOK, http.StatusInternalServerError} {
		_, _ = c.Put(t.Context(), streamtest.Records(0, 1, 10))
	}
	o := c.Offset()
	if o.Answers != 2 || o.Low > ahead || o.High < ahead || o.High-o.Low > time.Minute {
		t.Errorf("%+v, want %v within it, of 2 answers", o, ahead)
	}
}

// What an endpoint that does not know CBOR says is surely not stored, and the
// operator is told what to do; the same answer to JSON is another matter.
func TestEndpointsWithoutCBOR(t *testing.T) {
	for name, tc := range map[string]struct {
		status     int
		kind, body string
		code       string
	}{
		"other type":          {415, "text/html", "<html>unsupported</html>", "http-415"},
		"operation":           {400, jsonType, `{"__type":"UnknownOperationException"}`, "http-400"},
		"operation not found": {404, jsonType, `{"__type":"com.amazon.coral.service#UnknownOperationException"}`, "http-404"},
		"syntax":              {400, jsonType, `{"__type":"SerializationException","message":"no JSON"}`, "http-400"},
		"in CBOR":             {400, cborType, "\xa1\x66__type\x76SerializationException", "http-400"},
	} {
		t.Run(name, func(t *testing.T) {
			overWires(t, func(t *testing.T, client func(testing.TB, string) *kinesis.Client) {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					w.Header().Set("Content-Type", tc.kind)
					w.WriteHeader(tc.status)
					_, _ = io.WriteString(w, tc.body)
				}))
				t.Cleanup(s.Close)
				err := wantAll(t, client(t, s.URL), record.Refused, tc.code, true)
				wantSentence(t, err, s.URL)
				hint := strings.Contains(err.Error(), "pass --wire json")
				if !errors.Is(err, kinesis.ErrInvalid) || hint != strings.HasSuffix(t.Name(), "/cbor") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// An answer in another form than the request's is nobody's we know, even where it could be read.
func TestAnswerInAnotherFormIsUnknown(t *testing.T) {
	five := "\xa1\x67Records\x85" + strings.Repeat("\xa2\x6eSequenceNumber\x611\x67ShardId\x61s", 5)
	for kind, fate := range map[string]record.Fate{cborType: record.Acked, cborType + "; charset=utf-8": record.Acked, jsonType: record.Unknown, "text/html": record.Unknown, "": record.Unknown} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header()["Content-Type"] = []string{kind}
			_, _ = io.WriteString(w, five)
		}))
		t.Cleanup(s.Close)
		c := kinesis.New(config(s.URL), streamName, kinesis.Options{Wire: kinesis.CBOR})
		t.Cleanup(c.Close)
		recs := streamtest.Records(0, 5, 10)
		out, err := c.Put(t.Context(), recs)
		if err != nil || streamtest.Fates(out)[fate] != 5 {
			t.Errorf("%q: %v, %v: %v; want %v", kind, streamtest.Fates(out), err, out[0].Err, fate)
		}
	}
}
