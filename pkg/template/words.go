package template

import (
	"slices"
	"strings"
	"unicode"
)

// Words splits a field's name: user_id, userId, userID and user-id are all user, id.
func Words(name string) (list []string) {
	var word []rune
	flush := func() {
		if len(word) > 0 {
			list = append(list, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(name)
	for i, c := range runes {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			flush()
			continue
		case unicode.IsUpper(c) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush()
		}
		word = append(word, c)
	}
	flush()
	return list
}

func hasWord(name []string, list ...string) bool {
	return slices.ContainsFunc(name, func(w string) bool { return slices.Contains(list, w) })
}

// Words of names by which fields are judged.
var (
	userWords = []string{"user", "users", "userid", "uid", "player", "players", "playerid", "viewer", "viewerid", "member", "members", "memberid", "account",
		"accountid", "owner", "ownerid", "opponent", "opponents", "opponentid", "friend", "friends", "friendid", "sender", "receiver", "recipient", "target", "customer", "customerid"}
	idWords   = []string{"id", "ids", "uuid", "guid", "ulid", "uid", "idfa", "gaid", "adid", "idfv", "imei", "sessionid", "deviceid", "eventid", "orderid", "transactionid"}
	dateWords = []string{"date", "day", "dt", "ymd", "hour", "month"}
	// instances are things of which each user has new ones; other ids (item_id)
	// name what the game holds, the same for everybody.
	instances = []string{"session", "sessionid", "event", "eventid", "order", "orderid", "transaction", "transactionid", "request", "trace", "span",
		"receipt", "purchase", "battle", "match", "log", "message", "msg", "payment", "invoice", "device", "deviceid", "record", "idfa", "gaid", "adid", "idfv", "imei"}
	personWords = []string{"email", "mail", "phone", "tel", "mobile", "ip", "ipaddress", "nickname", "nick", "firstname", "lastname", "fullname",
		"surname", "username", "displayname", "realname", "birthday", "birthdate", "address", "street"}
)

// last is the last word of the field's name.
func (e *evidence) last() string {
	if len(e.name) == 0 {
		return ""
	}
	return e.name[len(e.name)-1]
}

func (e *evidence) isID() bool {
	return hasWord([]string{e.last()}, idWords...) || e.whole == e.values && hasWord([]string{e.last()}, userWords...)
}

// isPerson knows `name` for a person's only beside another word that says so.
func (e *evidence) isPerson() bool {
	if hasWord([]string{e.last()}, personWords...) {
		return e.numbers == 0 || hasWord(e.name, "phone", "tel", "mobile")
	}
	if e.last() != "name" || e.numbers > 0 {
		return false
	}
	around := Words(e.path)
	return hasWord(e.name, "first", "last", "full", "real", "display", "family", "given", "middle", "nick") || hasWord(around[:len(around)-1], userWords...)
}

// idRole is the role of an id by its name: a number or text that each user has
// anew, another user, or none.
func (e *evidence) idRole(userLike bool) string {
	switch {
	case hasWord(e.name, instances...) && e.whole == e.values:
		return "counter"
	case hasWord(e.name, instances...) && e.numbers == 0:
		return "hash"
	case userLike && e.whole == e.values:
		return "peer"
	}
	return ""
}
