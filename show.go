package xlreg

import (
	"fmt"
	"strings"
)

// What is printed of keys and of all that holds them. The bytes of a key say nothing
// to people and fill the screen, so a roster that lands in a log or in an error shows
// names and addresses instead.

// String says how long the key is. Its bytes are string(k).
func (k CommsKey) String() string { return keyText(len(k)) }

// String says how long the key is. Its bytes are string(k).
func (k SigKey) String() string { return keyText(len(k)) }

func keyText(n int) string {
	if n == 0 {
		return "no key"
	}
	return fmt.Sprintf("key of %d bytes", n)
}

// String returns the node's name and addresses.
func (t Token) String() string {
	if len(t.Endpoints) == 0 {
		return string(t.Name)
	}
	addresses := make([]string, len(t.Endpoints))
	for i, e := range t.Endpoints {
		addresses[i] = string(e)
	}
	return string(t.Name) + " at " + strings.Join(addresses, ", ")
}

// String returns the member's index, name and addresses.
func (m Member) String() string { return fmt.Sprintf("%d %v", m.Index, m.Token) }

// String returns the cluster's name and its members.
func (r Roster) String() string { return ShowMembers(&r.Cluster, r.Members) }

// String returns the name, or the ID of a cluster whose name is not known.
func (c Cluster) String() string {
	if c.Name == "" {
		return c.ID.String()
	}
	return string(c.Name)
}

// ShowMembers returns a roster in one line, whatever more each member is.
func ShowMembers[M fmt.Stringer](c *Cluster, members []M) string {
	texts := make([]string, len(members))
	for i := range members {
		texts[i] = members[i].String()
	}
	return fmt.Sprintf("%v, %d of %d: %s", c, len(members), c.MaxSize, strings.Join(texts, "; "))
}

// String returns where the registry is and what it is called.
func (c Credentials) String() string {
	return Token{Name: c.Name, Endpoints: c.Endpoints}.String()
}
