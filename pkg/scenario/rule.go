package scenario

// A RoleKind says how a field of the template is rewritten for each user.
type RoleKind uint8

// The roles.
const (
	Keep    RoleKind = iota // left byte for byte
	User                    // the user's id
	UUID                    // an invertible uuid; equal in the template, equal in the replica
	Time                    // moved by a whole number of seconds, written as found
	Counter                 // a number no other user of the run has
	Date                    // the date of a time field of the same record, in the schedule's zone
	Peer                    // another user of the same run; equal in the template, equal in the replica
	Scale                   // the captured number times a number of the user's cohort, decimals kept
	Hash                    // a text of the same length and alphabet that differs from user to user
	Fake                    // an invented name, address or the like, in the form of the captured one
)

// A Role is what a rewrite rule does with its fields.
type Role struct {
	Kind    RoleKind
	Pattern string // of user, counter, peer: a fmt pattern such as U%010d, or empty
	Of      string // of date: the time field; of scale: the cohort's number
	Shared  bool   // of uuid: `uuid per session` names many records, never one alone
}

// A Rule gives the fields that match Field a role. File, Line and Col say where it stands.
type Rule struct {
	Field string // bare name: any depth, any log type; type.path.to.field: one log type; *, {a,b} as in globs
	Role  Role
	Pos   Pos
}

// A Pos is a place in a file of the scenario; Line and Col count from 1.
type Pos struct {
	File      string
	Line, Col int
}

// Match reports whether the rule is about the field at the dotted path in logType.
func (r Rule) Match(logType, path string) bool { return Pattern{Field: r.Field}.Match(logType, path) }

// RoleOf returns the first of rules that matches and its index. It costs up to
// a microsecond: whoever asks for every record keeps the answers by log type and path.
func RoleOf(rules []Rule, logType, path string) (Rule, int, bool) {
	for i, r := range rules {
		if r.Match(logType, path) {
			return r, i, true
		}
	}
	return Rule{}, -1, false
}

// String returns the word of the scenario file.
func (k RoleKind) String() string {
	if int(k) < len(roles) {
		return roles[k]
	}
	return "unknown"
}

// String returns the role as the scenario file has it.
func (r Role) String() string {
	switch {
	case r.Kind == Date:
		return "date of " + r.Of
	case r.Kind == Scale:
		return "scale " + r.Of
	case r.Shared:
		return "uuid per session"
	case r.Pattern == "":
		return r.Kind.String()
	}
	return r.Kind.String() + " " + r.Pattern
}
