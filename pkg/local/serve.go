package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// account and region stand in the ARNs; the region is the one the client signed for, when it did.
const (
	account = "000000000000"
	region  = "us-east-1"
	target  = "Kinesis_20131202."
)

// refusal is an error as the client sees it.
type refusal struct {
	status  int
	code    string
	message string
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func invalid(field, rule string) *refusal {
	return refuse("ValidationException", "1 validation error detected: Value at '%s' failed to satisfy constraint: %s", field, rule)
}

// failure says that the server is at fault.
var failure = &refusal{http.StatusInternalServerError, "InternalFailure", "Internal service failure."}

// garbled says that the body is not what the operation reads.
func garbled() *refusal { return &refusal{http.StatusBadRequest, "SerializationException", ""} }

// call is one request of an operation that is not PutRecords.
type call struct {
	*http.Request
	region string
}

// handlers are the operations that answer with encoding/json.
var handlers = map[string]func(*Pipeline, call, []byte) (any, *refusal){
	"CreateStream":          op((*Pipeline).createStream),
	"DeleteStream":          op((*Pipeline).deleteStream),
	"ListStreams":           op((*Pipeline).listStreams),
	"DescribeStream":        op((*Pipeline).describeStream),
	"DescribeStreamSummary": op((*Pipeline).describeStreamSummary),
	"ListShards":            op((*Pipeline).listShards),
	"PutRecord":             op((*Pipeline).putRecord),
	"GetShardIterator":      op((*Pipeline).getShardIterator),
	"GetRecords":            op((*Pipeline).getRecords),
	"AddTagsToStream":       op((*Pipeline).addTags),
	"ListTagsForStream":     op((*Pipeline).listTags),
	"RemoveTagsFromStream":  op((*Pipeline).removeTags),
	"SplitShard":            op((*Pipeline).splitShard),
	"MergeShards":           op((*Pipeline).mergeShards),
	"UpdateShardCount":      op((*Pipeline).updateShardCount),

	"UpdateStreamRecordDistributionStrategy": op((*Pipeline).updateDistribution),
}

func op[In any](f func(*Pipeline, call, *In) (any, *refusal)) func(*Pipeline, call, []byte) (any, *refusal) {
	return func(p *Pipeline, c call, body []byte) (any, *refusal) {
		in := new(In)
		if json.Unmarshal(body, in) != nil {
			return nil, garbled()
		}
		return f(p, c, in)
	}
}

// scratch is the memory of one request, used again by later ones.
type scratch struct {
	body   []byte
	put    putRecords
	fault  CallFault
	recs   []rec
	places []hash // of recs
	out    []outcome
	resp   []byte
}

func (p *Pipeline) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") == "" { // every request of Kinesis has one, none of S3
		p.serveS3(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", jsonType)
	if inCBOR(r) {
		h.Set("Content-Type", cborType) // also says in what refusals are written
	}
	h.Set("X-Amzn-Requestid", uuid.NewString())
	sc := p.pool.Get().(*scratch)
	defer func() {
		clear(sc.recs) // a pooled slice must not hold records that are trimmed
		p.pool.Put(sc)
	}()
	region, no := p.admit(r)
	if no == nil {
		no = sc.read(w, r)
	}
	if no != nil {
		no.write(w)
		return
	}
	name, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if name == "PutRecords" {
		p.servePut(w, r, sc)
		return
	}
	handle, ok := handlers[name]
	if !ok {
		refuse("UnknownOperationException", "").write(w)
		return
	}
	if inCBOR(r) {
		refuse("SerializationException", "kreplay local speaks CBOR for PutRecords only: set CBOR_ENABLED=false (-Daws.cborEnabled=false), so that %s comes in JSON", name).write(w)
		return
	}
	out, no := handle(p, call{r, region}, sc.body)
	if no != nil {
		no.write(w)
		return
	}
	if out == nil {
		return // an operation without an answer has an empty body
	}
	body, err := json.Marshal(out)
	if err != nil {
		failure.write(w)
		return
	}
	send(w, http.StatusOK, body)
}

// admit reads the credential of a request: AKID/date/region/kinesis/aws4_request.
func (p *Pipeline) admit(r *http.Request) (signed string, no *refusal) {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		if p.cfg.AccessKey != "" {
			return "", refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
		}
		return region, nil
	}
	scope := strings.Split(rest, "/")
	if p.cfg.AccessKey != "" && scope[0] != p.cfg.AccessKey {
		return "", refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if len(scope) < 3 || scope[2] == "" {
		return region, nil
	}
	return scope[2], nil
}

// read takes the body in, into the memory of sc.
func (sc *scratch) read(w http.ResponseWriter, r *http.Request) *refusal {
	body := http.MaxBytesReader(w, r.Body, maxBody)
	sc.body = sc.body[:0]
	if n := r.ContentLength; n > 0 && n <= maxBody {
		sc.body = slices.Grow(sc.body, int(n)+1) // one more: the read that meets the end needs room
	}
	for {
		if len(sc.body) == cap(sc.body) {
			sc.body = slices.Grow(sc.body, max(512, len(sc.body)))
		}
		n, err := body.Read(sc.body[len(sc.body):cap(sc.body)])
		sc.body = sc.body[:len(sc.body)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if _, big := errors.AsType[*http.MaxBytesError](err); big {
			return &refusal{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request entity too large"}
		}
		if err != nil {
			return garbled() // the client is gone: nobody reads it
		}
	}
}

func (no *refusal) write(w http.ResponseWriter) {
	if w.Header().Get("Content-Type") == cborType {
		send(w, no.status, no.cborBody())
		return
	}
	body, err := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message,omitempty"`
	}{no.code, no.message})
	if err != nil {
		body = nil // two strings always marshal
	}
	send(w, no.status, body)
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means the client is gone
}
