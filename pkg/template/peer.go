package template

import (
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strconv"

	"kreplay/pkg/record"
	"kreplay/pkg/scenario"
)

// userSlot is the uuid slot of the user's own id in every program of a scenario
// that has peers: so one template's peer is written as another one's user.
const userSlot = 0

// mix64 spreads a number over 64 bits (the finalizer of SplitMix64).
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// peerOf returns the n-th peer of a user: never the user, and distinct for
// distinct n as long as there are users enough. A user who is alone is its own peer.
func peerOf(v *Values, n uint32) uint32 {
	if v.Users < 2 {
		return v.User
	}
	others := v.Users - 1
	start, _ := bits.Mul64(mix64(mix64(v.Seed)^uint64(v.User)), others)
	return uint32((uint64(v.User) + 1 + (start+uint64(n))%others) % v.Users)
}

func (s *part) appendPeer(dst []byte, v *Values) []byte {
	peer := v.User
	if !s.self {
		peer = peerOf(v, s.index)
	}
	if s.inUUID {
		return record.AppendUUID(dst, record.EncodeUUID(v.Tag, peer, userSlot), s.uuid)
	}
	return s.user.append(dst, v.UserID-uint64(v.User)+uint64(peer))
}

// peer makes a slot that is written as the user's id is: by its own pattern,
// else text by the user's; without one as a uuid or decimal, as captured.
func (c *compiler) peer(role scenario.Role, f Field, value, inner []byte) (s part, from, end int, err error) {
	s.kind, end = slotPeer, len(value)
	if role.Pattern == "" && f.Kind == String {
		role.Pattern = c.userPattern()
	}
	id := idKey(inner)
	if u, form, ok := parseID(f, inner); ok && role.Pattern == "" {
		s.inUUID, s.uuid, from, end, id = true, form, 1, end-1, uuidKey(u)
	} else if s.user, err = decimalForm(role, f, value, inner); err != nil {
		return s, 0, 0, err
	} else {
		c.addUserForm(s.user, role.Pattern != "")
	}
	n, ok := c.peers[id]
	if !ok {
		n = uint32(len(c.peers))
		c.peers[id] = n
	}
	s.index = n
	c.p.PeerKeys[string(f.Key)] = true
	return s, from, end, nil
}

// userPattern is the pattern of the first rule about the user's id.
func (c *compiler) userPattern() string {
	for _, r := range c.roles.rules {
		if r.Role.Kind == scenario.User {
			return r.Role.Pattern
		}
	}
	return ""
}

// addUserForm notes a peer's form: all peers that are written alike count once.
func (c *compiler) addUserForm(form UserForm, pattern bool) {
	switch {
	case pattern:
	case form.Captured <= math.MaxInt32:
		form.Captured = 1
	default:
		form.Captured = math.MaxInt32 + 1
	}
	if !slices.Contains(c.p.UserForms, form) {
		c.p.UserForms = append(c.p.UserForms, form)
	}
}

// idKey is equal for equal ids, however many zeros stand before the number.
func idKey(inner []byte) string {
	if n, err := strconv.ParseUint(string(inner), 10, 64); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return "text " + string(inner)
}

// uuidKey is no other id's, whose digits idKey gives.
func uuidKey(u record.UUID) string {
	b := u.Bytes()
	return string(b[:])
}

// nobody is the uuid and the ULID of which all bits are 0, or 1.
var nobody = regexp.MustCompile(`(?i)^"(0{8}(-0{4}){3}-0{12}|0{32}|0{26}|f{8}(-f{4}){3}-f{12}|f{32}|7z{25})"$`)

// isNobody says that an id is no one's.
func isNobody(value []byte) bool { return nobody.Match(value) }

// parseID reads a uuid or ULID. 26 digits alone are a decimal number, not a ULID.
func parseID(f Field, inner []byte) (u record.UUID, form record.UUIDForm, ok bool) {
	if f.Kind != String {
		return u, 0, false
	}
	u, form, ok = record.ParseUUID(inner)
	return u, form, ok && (!form.ULID() || !allDigits(inner))
}

func allDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// settlePeers knows at last who the user is: a field of role peer that holds the
// user's own id goes on holding it. The user's uuid gets the slot that peers name.
func (c *compiler) settlePeers() {
	self := map[string]bool{idKey([]byte(c.userID)): c.userID != ""}
	if c.hasUserUUID {
		self[uuidKey(c.userUUID)] = true
	}
	selves := map[uint32]bool{}
	for id, n := range c.peers {
		selves[n] = self[id]
	}
	slot, moves := c.slots[c.userUUID]
	moves = moves && c.hasUserUUID && c.hasPeers
	for i := range c.p.Events {
		parts := c.p.Events[i].parts
		for j := range parts {
			switch s := &parts[j]; {
			case s.kind == slotPeer:
				s.self = selves[s.index]
			case s.kind == slotUUID && moves && s.index == slot:
				s.index = userSlot
			}
		}
	}
	if moves && c.shared[slot] {
		c.shared[userSlot] = true
	}
}
