package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kreplay/pkg/template"
)

func nothingSpared(template.Field) bool { return false }

// What a mask makes of one field.
func TestMask(t *testing.T) {
	for _, c := range [][2]string{
		{`"password":"hunter2"`, `"password":"xxxxxx0"`},
		{`"userPassword2":"p ä.\"\n\u00e9\u0041\u0031\u002e\/b"`, `"userPassword2":"x xx.\"\n\u0078\u0078\u0030\u002e\/x"`},
		{`"passwd":"пароль"`, `"passwd":"xxxxxxxxxxxx"`},
		{`"pass\u0077ord":"abc"`, `"pass\u0077ord":"xxx"`},
		{`"X-Api-Key":"k1"`, `"X-Api-Key":"x0"`},
		{`"APIKey":"k1"`, `"APIKey":"x0"`},
		{`"accesstoken":"t-1"`, `"accesstoken":"x-0"`},
		{`"Set-Cookie":["a=b","c=1"]`, `"Set-Cookie":["x=x","x=0"]`},
		{`"secret":{"a":[1.50,-2e+7,0,null,true,"Z"]}`, `"secret":{"a":[1.00,-1e+0,1,null,true,"x"]}`},
		{`"card_number":4111111111111111`, `"card_number":1000000000000000`},
		{`"cardNumber":"4111 1111 1111 1111"`, `"cardNumber":"0000 0000 0000 0000"`},
		{`"cvv":123`, `"cvv":100`},
		{`"password_hash":"$2b$10"`, `"password_hash":"$0x$00"`},
		{`"h":"Bearer abc.def-1"`, `"h":"xxxxxx xxx.xxx-0"`},
		{`"h":"basic dXNlcjpwYXNz"`, `"h":"xxxxx xxxxxxxxxxxx"`},
		{`"h":"\u0042earer abcdef"`, `"h":"\u0078xxxxx xxxxxx"`},
		{`"h":"AKIAABCDEFGHIJKLMNOP"`, `"h":"xxxxxxxxxxxxxxxxxxxx"`},
		{`"h":"eyJhbGci.eyJzdWIi.s-1"`, `"h":"xxxxxxxx.xxxxxxxx.x-0"`},
		{`"h":"sk_live_51H"`, `"h":"xx_xxxx_00x"`},
		{`"h":"-----BEGIN RSA PRIVATE KEY-----\nMII"`, `"h":"-----xxxxx xxx xxxxxxx xxx-----\nxxx"`},
	} {
		row := []byte("{" + c[0] + "}")
		if err := newMasker(nil).mask("t", row, nothingSpared); err != nil || string(row) != "{"+c[1]+"}" {
			t.Errorf("%s: got %s, %v; want %s", c[0], row, err, c[1])
		}
	}
	for _, same := range []string{
		`"token_count":15`, `"tokenType":3`, `"tokens":1500`, `"input_tokens":7`, `"game_cookies":{"gold":9}`, `"has_password":true`, `"secret":null`, `"secretary":"Bob"`,
		`"card_number":7`, `"discard_number":4111111111111111`, `"monkey":"a"`, `"title":"Bearer of Light"`, `"item":"Basic Training"`, `"item":"Basic Sword of Might 2"`,
		`"h":"AKIAshort"`, `"h":"eyJhbGci"`, `"h":"a Bearer abcdefg"`, `"token":""`, `"password":"***"`, `"keyboard":"x1"`,
	} {
		row := []byte("{" + same + "}")
		if err := newMasker(nil).mask("t", row, nothingSpared); err != nil || string(row) != "{"+same+"}" {
			t.Errorf("%s became %s, %v", same, row, err)
		}
	}
}

// Whatever the record, its mask is as long, is JSON, differs in values of secrets
// only, and is its own mask.
func TestMaskKeepsTheRecord(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	names := []string{`a`, `token`, `api_key`, `tokens`, `card_number`, `key.secret`, `pa\u0073sword`, `n`}
	scalars := []string{`"Bearer abcdef1"`, `"plain"`, `"\\\"\u00e9\ud83d\ude00é\n"`, `""`, `-0.5e-3`, `4111111111111111`, `true`, `null`, `"eyJa.eyJb.c"`, `"\\u0041A1"`}
	var value func(depth int) string
	value = func(depth int) string {
		var parts []string
		switch k := rng.IntN(5); {
		case k == 0 && depth < 4:
			for range rng.IntN(4) {
				parts = append(parts, value(depth+1))
			}
			return "[" + strings.Join(parts, ", ") + "]"
		case k <= 2 && depth < 4:
			for range rng.IntN(5) {
				parts = append(parts, `"`+names[rng.IntN(len(names))]+`" : `+value(depth+1))
			}
			return "{" + strings.Join(parts, ",") + "}"
		}
		return scalars[rng.IntN(len(scalars))]
	}
	changed := 0
	for range 5000 {
		before := []byte(value(0))
		after, m := bytes.Clone(before), newMasker(nil)
		if err := m.mask("t", after, nothingSpared); err != nil || len(after) != len(before) || !json.Valid(after) {
			t.Fatalf("%s became %s, %v", before, after, err)
		}
		outside := bytes.Clone(before)
		_ = template.Walk(after, func(f template.Field) error {
			secret := strings.ContainsAny(f.Path(), "kd") || bytes.HasPrefix(before[f.Start:f.End], []byte(`"Bearer`)) || bytes.HasPrefix(before[f.Start:f.End], []byte(`"ey`)) // k and d: of the names above those of secrets
			if secret && (f.Kind == template.String || f.Kind == template.Number) {
				copy(outside[f.Start:f.End], after[f.Start:f.End])
			}
			return nil
		})
		if !bytes.Equal(outside, after) {
			t.Fatalf("%s became %s: more than values changed", before, after)
		}
		if len(m.count) > 0 {
			changed++
		}
		again, second := bytes.Clone(after), newMasker(nil)
		if err := second.mask("t", again, nothingSpared); err != nil || !bytes.Equal(again, after) || len(second.count) > 0 {
			t.Fatalf("%s, masked again: %s, %v, %v", after, again, second.count, err)
		}
		if len(m.count) == 0 && !bytes.Equal(before, after) || len(m.count) > 0 && bytes.Equal(before, after) {
			t.Fatalf("%s became %s, said to be %v", before, after, m.count)
		}
	}
	if changed < 500 {
		t.Errorf("%d of 5000 records had a secret: too few to prove anything", changed)
	}
}

// No secret of the captured records stands in any file that is written, though
// the fields by which the capture goes have a secret's name.
func TestSecretsDoNotTouchTheDisk(t *testing.T) {
	secrets := []string{"hunter2-longer", "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "fcm:APA91bHun4", "AKIAABCDEFGHIJKLMNOP", "4111111111111111", "sk_live_51Habcdef", "sid=s3cr3t", "rival-token-77"}
	rows := fmt.Sprintf(`{"type":"a","token":"T-0015","ts":1700000000,"password":%q,"access_token":%q,"push_token":%q,"rival":{"token":%q}}`, secrets[0], secrets[1], secrets[2], secrets[7]) +
		fmt.Sprintf("{\"type\":\"a\",\n\"token\":\"T-0015\",\"ts\":1700000001,\"headers\":{\"Authorization\":\"Bearer %s\",\"cookie\":[%q]},\"card_number\":%s,\"note\":%q,\"owner_token\":\"T-0015\",\"by\":{\"token\":\"T-0015\"}}",
			secrets[3], secrets[6], secrets[4], secrets[5])
	o := of(newLake(t, map[string]string{"o": rows}))
	o.User, o.UserField = "T-0015", "token"
	got, stats := run(t, o)
	want := []Masked{
		{"a.access_token", 1}, {"a.card_number", 1}, {"a.headers.Authorization", 1}, {"a.headers.cookie", 1}, {"a.note", 1}, {"a.owner_token", 1}, {"a.password", 1},
		{"a.push_token", 1}, {"a.rival.token", 1},
	}
	if diff := cmp.Diff(want, stats.Masked); diff != "" {
		t.Errorf("masked, want (-), got (+):\n%s", diff)
	}
	if !strings.Contains(show(got), `"by":{"token":"T-0015"}`) {
		t.Errorf("the user's own id is masked:\n%s", show(got))
	}
	out := filepath.Join(t.TempDir(), "s")
	if err := WriteScenario(out, "s", got); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds %s:\n%s", path, s, data)
			}
		}
		return err
	})
	if err != nil || files != 3 {
		t.Errorf("%d files, %v; want 3", files, err)
	}
}

// The time and the log type are none, whatever their fields are called.
func TestTimeAndLogTypeAreNoSecrets(t *testing.T) {
	const row = `{"secret":"login1","user_id":"15","token":1700000001,"n":{"secret":"s1","token":1700000001}}`
	o := of(newLake(t, map[string]string{"o": row}))
	o.TypeField, o.TimeField = "secret", "token"
	want := "login1:\n  " + `{"secret":"login1","user_id":"15","token":1700000001,"n":{"secret":"x0","token":1000000000}}` + "\n"
	if got, _ := run(t, o); show(got) != want {
		t.Errorf("got %s, want %s", show(got), want)
	}
}

// A field that is no secret stays as it is on request; a request that names
// none is a slip.
func TestNoMask(t *testing.T) {
	const row = `{"type":"a","user_id":"15","ts":1700000000,"push_token":"p1","cookie":{"sid":"s1","n":5},"note":"sk_live_1"}`
	for _, c := range []struct {
		keep         []string
		want, refuse string
	}{
		{nil, `"push_token":"x0","cookie":{"sid":"x0","n":1},"note":"xx_xxxx_0"`, ""},
		{[]string{"push_token"}, `"push_token":"p1","cookie":{"sid":"x0","n":1},"note":"xx_xxxx_0"`, ""},
		{[]string{"a.cookie", "no*"}, `"push_token":"x0","cookie":{"sid":"s1","n":5},"note":"sk_live_1"`, ""},
		{[]string{"a.cookie.sid"}, `"push_token":"x0","cookie":{"sid":"s1","n":1},"note":"xx_xxxx_0"`, ""},
		{[]string{"push_token", "cokie"}, "", `--no-mask "cokie" names no field`},
		{[]string{"user_id"}, "", `--no-mask "user_id" names no field`},
	} {
		o := of(newLake(t, map[string]string{"o": row}))
		o.NoMask = c.keep
		got, _, err := Run(t.Context(), o)
		switch {
		case c.refuse != "":
			if err == nil || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("%q: %v, want %s", c.keep, err, c.refuse)
			}
		case err != nil:
			t.Errorf("%q: %v", c.keep, err)
		case !strings.Contains(show(got), c.want):
			t.Errorf("%q: got %s, want %s in it", c.keep, show(got), c.want)
		}
	}
}
