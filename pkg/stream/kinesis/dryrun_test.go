package kinesis_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kreplay/pkg/stream/kinesis"
	"kreplay/pkg/stream/streamtest"
)

// A dry run passes when the service says that it would have taken the records,
// and by nothing else; the request says that it is one.
func TestDryRun(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		answer string
		want   error
		says   string
	}{
		"would be taken": {http.StatusBadRequest, `{"__type":"DryRunOperationException","message":"Request would have succeeded, but DryRun flag is set."}`, nil, ""},
		"denied":         {http.StatusBadRequest, `{"__type":"AccessDeniedException","message":"no"}`, kinesis.ErrDenied, "kinesis:PutRecords"},
		"no stream":      {http.StatusBadRequest, `{"__type":"ResourceNotFoundException","message":"no"}`, kinesis.ErrNoStream, "does not exist"},
		"does not know":  {http.StatusOK, full(2), kinesis.ErrInvalid, "it may have stored 2 records"},
	} {
		t.Run(name, func(t *testing.T) {
			var body string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				body = string(text)
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.answer)
			}))
			t.Cleanup(s.Close)
			err := client(t, s.URL).DryRun(t.Context(), streamtest.Records(0, 2, 100))
			if !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want %v with %q", err, tc.want, tc.says)
			}
			if !strings.HasPrefix(body, `{"DryRun":true,"Records":[{"Data":"`) || strings.Count(body, `"PartitionKey"`) != 2 {
				t.Errorf("request %s, want a dry run of 2 records", body)
			}
		})
	}
}
