package expect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// Whatever the row, what is written is one line of well-formed JSON that any
// strict reader takes, with the table's columns in it and nothing else.
func FuzzEncoder(f *testing.F) {
	for _, s := range []string{
		`{"n":1,"d":1.25,"s":"a","b":true,"o":{"x":[1]},"j":1}`, `{"n":1e3,"d":-0,"s":"\ud800","o":{"x":[null,"y",{}]},"j":"\udc00\ud800"}`,
		`{"n":9223372036854775808,"n":5,"s":null,"o":[]}`, "{\"s\":\"\xff\\/\\\\u12\",\"j\":{\"\\ud83d\\ude00\":[1.10 ,\n2]}}", `[]`, `{`, ``, `null`,
	} {
		f.Add([]byte(s))
	}
	table := TableOf("t", [][]byte{[]byte(`{"n":1,"d":1.25,"s":"a","b":true,"o":{"x":[1.5]},"j":1}`), []byte(`{"j":{}}`)})
	names := map[string]bool{}
	for _, c := range table.Columns {
		names[c.Name] = true
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		table := table
		table.Cells = len(row)%2 == 1
		e, misfits := NewEncoder(table), 0
		e.Misfit = func(_, reason, value string) {
			misfits++
			if reason == "" {
				t.Errorf("%q: a misfit without a reason", value)
			}
		}
		line := e.Append(nil, row)
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil || !utf8.Valid(line) || bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("%q became %q: %v", row, line, err)
		}
		for name := range got {
			if !names[name] {
				t.Errorf("%q became %q: no column %q", row, line, name)
			}
		}
		if again := e.Append(nil, row); !bytes.Equal(again, line) {
			t.Errorf("%q became %q, and then %q", row, line, again)
		}
		if !json.Valid(row) && misfits == 0 {
			t.Errorf("%q is no JSON, and nobody was told", row)
		}
		if got := valid(row); got != json.Valid(row) {
			t.Errorf("%q is valid: %v", row, got)
		}
	})
}

func TestEncoder(t *testing.T) {
	table := TableOf("t", [][]byte{
		[]byte(`{"n":1,"d":1.25,"h":12345678901234567890,"s":"a","v":1,"b":true,"o":{"X":1,"x":2},"l":[[1]],"j":{"a":1},"":0}`),
		[]byte(`{"v":"1","j":[1]}`),
	})
	same(t, "columns", columnNames(table), `[n BIGINT d DECIMAL(18,2) h HUGEINT s VARCHAR v VARCHAR b BOOLEAN o STRUCT("X" BIGINT, "x_2" BIGINT) l BIGINT[][] j JSON _ BIGINT]`)
	for row, want := range map[string]string{
		`{}`:                                    `{}`,
		` { "s" : "x" , "n" : 5 } `:             `{"n":5,"s":"x"}`,
		`{"n":1,"n":2}`:                         `{"n":2}`,
		`{"n":1,"n":null}`:                      `{}`,
		`{"n":15e1,"d":15e-1,"h":1e20}`:         `{"n":150,"d":"1.5","h":"100000000000000000000"}`,
		`{"n":0.5,"d":0.125,"h":1e38}`:          `{"n":null,"d":null,"h":null}`,
		`{"n":"5","d":"1.5","s":5,"v":[1]}`:     `{"n":null,"d":null,"s":"5","v":null}`,
		`{"v":1.50,"b":"true","s":true}`:        `{"s":"true","v":"1.50","b":null}`,
		`{"o":{"x":5,"y":6},"":7}`:              `{"o":{"x_2":5},"_":7}`,
		`{"o":[],"l":[[1,null],[],null,[2.5]]}`: `{"o":null,"l":[[1,null],[],null,[null]]}`,
		`{"j":{"n": 1.10}}`:                     `{"j":"{\"n\": 1.10}"}`,
		`{"s":"\ud83d\ude00\ud83d\u00e9"}`:      `{"s":"\ud83d\ude00\ufffd\u00e9"}`,
	} {
		if got := strings.TrimSuffix(string(NewEncoder(table).Append(nil, []byte(row))), "\n"); got != want {
			t.Errorf("%s: got %s, want %s", row, got, want)
		}
	}
}

// Values that come as texts, as CSV has them, are written as the values themselves.
func TestEncoderOfCells(t *testing.T) {
	table := TableOf("t", [][]byte{[]byte(`{"n":1,"d":1.25,"h":12345678901234567890,"s":"a","b":true,"o":{"x":1},"l":[1],"j":{"a":1}}`), []byte(`{"j":1}`)})
	cells := table
	cells.Cells = true
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`-?(0|[1-9][0-9]{0,15})`)
		values := map[string]string{
			"n": digits.Draw(t, "n"), "d": digits.Draw(t, "d") + rapid.StringMatching(`(\.[0-9]{1,3}|e1)?`).Draw(t, "fraction"), "h": digits.Draw(t, "h") + "e6",
			"s": string(gjson.AppendJSONString(nil, rapid.String().Draw(t, "s"))), "b": rapid.SampledFrom([]string{"true", "false"}).Draw(t, "b"),
			"o": `{"x": ` + digits.Draw(t, "o") + `}`, "l": `[` + digits.Draw(t, "l") + `]`, "j": rapid.SampledFrom([]string{`{"b":"\"5\""}`, "[5, null]", "1.50"}).Draw(t, "j"),
		}
		var row, texts []string
		for _, c := range table.Columns {
			v := values[c.Key]
			row = append(row, fmt.Sprintf("%q:%s", c.Key, v))
			if c.Key != "s" {
				v = string(gjson.AppendJSONString(nil, v))
			}
			texts = append(texts, fmt.Sprintf("%q:%s", c.Key, v))
		}
		want := string(NewEncoder(table).Append(nil, []byte("{"+strings.Join(row, ",")+"}")))
		if got := string(NewEncoder(cells).Append(nil, []byte("{"+strings.Join(texts, ",")+"}"))); got != want {
			t.Fatalf("cells %s: got %s, want %s", texts, got, want)
		}
	})
	for row, want := range map[string]string{
		`{"n":"","s":"","o":"{","l":"{}","b":"1"}`: `{"n":null,"s":"","b":null,"o":null,"l":null}`,
		`{"n":"five","d":"1.50 EUR","j":"text"}`:   `{"n":null,"d":null,"j":"\"text\""}`,
		`{"o":{"x":"5"}}`:                          `{"o":{"x":null}}`,
	} {
		if got := strings.TrimSuffix(string(NewEncoder(cells).Append(nil, []byte(row))), "\n"); got != want {
			t.Errorf("%s: got %s, want %s", row, got, want)
		}
	}
}

// Names stay apart for SQL, and who has a good name keeps it.
func TestNames(t *testing.T) {
	for keys, want := range map[string]string{
		"a,b":          "a,b",
		"A,a,a_2":      "A,a_3,a_2",
		"a_2,A,a":      "a_2,A,a_3",
		",_":           "__2,_",
		"x\x00,x\x01":  "x\uFFFD,x\x01",
		"\xff,\uFFFD":  "\uFFFD_2,\uFFFD",
		"é,É":          "é,É_2",
		"É,e\u0301":    "É,e\u0301",
		"login,Login,": "login,Login_2,_",
	} {
		if got := strings.Join(names(strings.Split(keys, ",")), ","); got != want {
			t.Errorf("%q: got %q, want %q", keys, got, want)
		}
	}
	same(t, "a table without columns", columnNames(TableOf("t", [][]byte{[]byte("{}")})), "[_ VARCHAR]")
}

// Rows of tables that do not keep the case of names fill the columns of the keys.
func TestEncoderOfNamesWithoutCase(t *testing.T) {
	table := TableOf("t", [][]byte{[]byte(`{"userId":1,"Info":{"deviceId":"x","ÄB":[{"Tag":1}]},"ID":1,"id":2,"Xy":1,"xY":2}`)})
	for row, want := range map[string]string{
		`{"userid":7,"info":{"deviceid":"y","äb":[{"tag":2}]}}`: `{"userId":7,"Info":{"deviceId":"y","ÄB":[{"Tag":2}]}}`,
		`{"userId":7,"userid":8}`:                               `{"userId":7} userid`,
		`{"userid":8,"userId":7}`:                               `{"userId":7}`,
		`{"USERID":8}`:                                          `{} USERID`,
		`{"id":3}`:                                              `{"id_2":3}`,
		`{"xy":3}`:                                              `{} xy`,
	} {
		e, misfits := NewEncoder(table), ""
		e.Misfit = func(_, reason, _ string) { misfits += " " + reason[strings.IndexByte(reason, '"')+1:len(reason)-1] }
		if got := strings.TrimSpace(string(e.Append(nil, []byte(row)))) + misfits; got != want {
			t.Errorf("%s became %s, want %s", row, got, want)
		}
	}
}
