package recipe

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Port is one of a member's ports.
type Port struct {
	Name   string // empty: it is known by its index alone, as no recipe has it
	Number int    // the same for every member; 0: one that is free
	Line   int    // in the recipe; 0: it is not from one
}

// ParsePort reads NAME or NAME=PORT.
func ParsePort(text string) (p Port, err error) {
	name, number, fixed := strings.Cut(text, "=")
	if !namePattern.MatchString(name) {
		return p, fmt.Errorf("port %q has no name: want NAME or NAME=PORT, the name of small letters, digits and dashes, a letter first", text)
	}
	p.Name = name
	if !fixed {
		return p, nil
	}
	i, err := strconv.ParseUint(number, 10, 16)
	if err != nil || i == 0 {
		return p, fmt.Errorf("port %q has no number from 1 to 65535 after the =: write one, or the name alone", text)
	}
	p.Number = int(i)
	return p, nil
}

// CheckAmong reports whether p can be one port more of a member that has those others.
func (p Port) CheckAmong(others []Port) error {
	for _, o := range others {
		where := ""
		if o.Line != p.Line {
			where = fmt.Sprintf(", after line %d", o.Line)
		}
		switch {
		case o.Name == p.Name:
			return fmt.Errorf("port %q is there a second time%s: give each port a name of its own", p.Name, where)
		case o.Number == p.Number && p.Number != 0:
			return fmt.Errorf("port %q has the number of port %q: give each port one of its own", p.Name, o.Name)
		}
	}
	return nil
}

// EachAddress says that every member has a loopback address of its own.
const EachAddress = "127.0.0.N"

// ParseAddress reads where members are: EachAddress, or the address of the first of them,
// from which the others count on. It returns that of the first.
func ParseAddress(text string) (netip.Addr, error) {
	const firstOfMany = 2 // 127.0.0.1 is everybody's
	if text == EachAddress {
		return netip.AddrFrom4([4]byte{127, 0, 0, firstOfMany}), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return a, fmt.Errorf("want %s with the letter N, or the first member's IP address, from which the others count on", EachAddress)
	}
	return a, nil
}
