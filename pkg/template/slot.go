package template

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

// stays says that a value is as captured whoever the user is: it says that there is none.
func stays(kind scenario.RoleKind, value []byte) bool {
	switch kind {
	case scenario.Keep:
		return true
	case scenario.Time:
		return string(value) == `""` || isNever(value)
	case scenario.User, scenario.Peer, scenario.UUID:
		return string(value) == `""` || isNobody(value)
	default:
		return string(value) == `""`
	}
}

// slot makes the slot of one field: it replaces value[from:end].
func (c *compiler) slot(role scenario.Role, f Field, value []byte) (s part, from, end int, err error) {
	inner := bytes.Trim(value, `"`)
	end = len(value)
	if f.Kind == String { // what stands between the quotes, for the roles that leave them
		from, end = 1, len(value)-1
	}
	switch role.Kind {
	case scenario.User:
		return c.user(role, f, value, inner)
	case scenario.Peer:
		return c.peer(role, f, value, inner)
	case scenario.UUID:
		u, form, ok := parseID(f, inner)
		if !ok {
			return s, 0, 0, fmt.Errorf("%s is no uuid and no ULID", value)
		}
		s = c.uuid(u, form)
		c.shared[s.index] = c.shared[s.index] || role.Shared
		return s, from, end, nil
	case scenario.Time:
		s, err = c.time(f, value, inner)
		return s, from, end, err
	case scenario.Date:
		return part{kind: slotDate}, from, end, nil // settleDates does the rest
	case scenario.Scale:
		s, err = c.scale(role, value, inner)
		return s, from, end, err
	case scenario.Hash:
		s, err = hash(f, value, value[from:end])
		return s, from, end, err
	case scenario.Fake:
		s, err = c.fake(f, value, value[from:end])
		return s, from, end, err
	default:
		s, err = c.counter(role, f, value, inner)
		return s, 0, len(value), err
	}
}

func (c *compiler) user(role scenario.Role, f Field, value, inner []byte) (s part, from, end int, err error) {
	c.ownKeys[string(f.Key)] = true
	if u, form, ok := parseID(f, inner); ok && role.Pattern == "" {
		if !c.hasUserUUID {
			c.userUUID, c.hasUserUUID, c.userText = u, true, string(inner)
		}
		if c.userUUID != u {
			return s, 0, 0, anotherUser(value, c.userText)
		}
		return c.uuid(u, form), 1, len(value) - 1, nil
	}
	s.kind = slotUser
	if s.user, err = c.userForm(role, f, value, inner); err != nil {
		return s, 0, 0, err
	}
	c.p.UserKeys[string(f.Key)] = true
	if !slices.Contains(c.p.UserForms, s.user) {
		c.p.UserForms = append(c.p.UserForms, s.user)
	}
	return s, 0, len(value), nil
}

func (c *compiler) time(f Field, value, inner []byte) (s part, err error) {
	form, ns, ok := FormOf(value)
	switch {
	case calendarDigits(inner):
		return s, fmt.Errorf("%s reads as a calendar time, and not as a count since 1970: give it the role `date of` a time, or keep", value)
	case !ok:
		return s, fmt.Errorf("%s is no time in a known form", value)
	}
	s.kind, s.form, s.ns = slotTime, form, ns
	s.take(inner)
	key := string(f.Key)
	if !slices.Contains(c.p.TimeKeys[key], form) {
		c.p.TimeKeys[key] = append(c.p.TimeKeys[key], form)
	}
	return s, nil
}

func (c *compiler) counter(role scenario.Role, f Field, value, inner []byte) (s part, err error) {
	s.kind = slotCounter
	s.user, err = decimalForm(role, f, value, inner)
	id := string(f.Key) + "\x00" + string(inner)
	n, ok := c.counters[id]
	if !ok {
		n = uint32(len(c.counters))
		c.counters[id] = n
	}
	s.index = n
	return s, err
}

func (c *compiler) uuid(u record.UUID, form record.UUIDForm) part {
	// The version nibble belongs to the form; without it equal ids stay equal.
	n, ok := c.slots[u]
	if !ok {
		n = c.nextSlot
		c.nextSlot++
		c.slots[u] = n
	}
	return part{kind: slotUUID, index: n, uuid: form}
}

func (c *compiler) userForm(role scenario.Role, f Field, value, inner []byte) (UserForm, error) {
	if c.userID == "" {
		c.userID = string(inner)
	}
	if idKey([]byte(c.userID)) != idKey(inner) {
		return UserForm{}, anotherUser(value, c.userID)
	}
	return decimalForm(role, f, value, inner)
}

func anotherUser(value []byte, user string) error {
	return fmt.Errorf("%s is another user than %s; a template holds one user", value, user)
}

// decimalForm keeps quotes and zero-padded width.
func decimalForm(role scenario.Role, f Field, value, inner []byte) (UserForm, error) {
	if role.Pattern != "" {
		form, err := patternForm(role.Pattern, f.Kind == String)
		if err == nil && f.Kind != String && (form.Padded || form.Prefix+form.Suffix != "") {
			err = fmt.Errorf("%s is no string, and %s is written as one", value, role.Pattern)
		}
		return form, err
	}
	n, err := strconv.ParseUint(string(inner), 10, 64)
	if err != nil {
		return UserForm{}, fmt.Errorf("%s is neither a whole number nor a uuid; give it a form, as in `%s X%%010d`", value, role.Kind)
	}
	form := UserForm{Captured: n}
	if inner[0] == '0' && len(inner) > 1 {
		form.Width, form.Padded = len(inner), true
	}
	if f.Kind == String {
		form.Prefix, form.Suffix = `"`, `"`
	}
	return form, nil
}
