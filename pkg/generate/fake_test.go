package generate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

// invented plans two cohorts whose templates have so many values of each kind,
// and returns each user's record.
func invented(t fataler, users, seed uint64, first, second int) (records []map[string]any) {
	line := func(n int) *fstest.MapFile {
		fields := []string{`"user_id":15`}
		for i := range n {
			fields = append(fields, fmt.Sprintf(`"email%d":"me%d@corp.jp","nick%d":"Me%d","ip%d":"10.0.0.%d","first_name":"Me%d","last_name":"I%d","street%d":"%d Road"`, i, i, i, i, i, i, i, i, i, i))
		}
		return &fstest.MapFile{Data: []byte("{" + strings.Join(fields, ",") + "}\n")}
	}
	fsys := fstest.MapFS{"s/a/signup.ndjson": line(first), "s/b/signup.ndjson": line(second), "s/scenario.yaml": {Data: fmt.Appendf(nil, `
kreplay: 1
seed: %d
templates: { a: a, b: b }
rewrite: { user_id: user, "{email,nick,ip,street,first_,last_}*": fake }
population: { users: %d, cohorts: { as: { template: a, share: 50%% }, bs: { template: b, share: 50%% } } }
`, seed, users)}}
	p := newPlan(t, Run{}, fsys, "s")
	for user := range uint32(users) {
		var fields map[string]any
		if err := json.Unmarshal(p.Append(nil, user, 0), &fields); err != nil {
			t.Fatal(err)
		}
		records = append(records, fields)
	}
	return records
}

// No invented value is another user's, whichever template that plays, nor is it
// another value of the same user.
func TestFakesNeverMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := rapid.IntRange(1, 9).Draw(t, "first"), rapid.IntRange(1, 9).Draw(t, "second")
		seen := map[any]string{}
		for user, fields := range invented(t, 100, rapid.Uint64().Draw(t, "seed"), first, second) {
			for key, value := range fields {
				if strings.Contains(key, "name") { // there are but a few names
					continue
				}
				place := fmt.Sprintf("%s of user %d", key, user)
				if other := seen[value]; other != "" {
					t.Fatalf("%v is %s and %s", value, place, other)
				}
				seen[value] = place
			}
		}
	})
}

// However many values a user has, nearly all words are used, those that stand
// beside each other do not go together, and numbers do not count the users.
func TestFakesUseAllWords(t *testing.T) {
	for _, values := range []int{1, 3, 64} {
		first, last, pairs, words, mails := map[any]bool{}, map[any]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
		steps, before := map[int]bool{}, 0
		for _, fields := range invented(t, 2000, 5, values, values) {
			first[fields["first_name"]], last[fields["last_name"]] = true, true
			pairs[fmt.Sprint(fields["first_name"], fields["last_name"])] = true
			nick, mail := fields["nick0"].(string), fields["email0"].(string)
			words[nick[:1+strings.IndexAny(nick[1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]] = true
			mails[mail[:strings.IndexByte(mail, '.')]] = true
			number, _ := strconv.Atoi(strings.Trim(nick, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
			steps[number-before], before = true, number
		}
		if len(steps) < 1900 {
			t.Errorf("%d values: from user to user the number in a nickname takes but %d different steps", values, len(steps))
		}
		if len(first) < 60 || len(last) < 60 || len(pairs) < 1000 || len(words) < 60 || len(mails) < 60 {
			t.Errorf("%d values: 2,000 users have %d first and %d last names, %d pairs, %d and %d first words; want nearly 64 of each, far more pairs",
				values, len(first), len(last), len(pairs), len(words), len(mails))
		}
	}
}
