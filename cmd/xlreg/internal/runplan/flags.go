package runplan

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/launch"
)

// Flags are what the command line says, as it was given. What is empty is left to the
// recipe.
type Flags struct {
	Recipe  *recipe.Recipe // nil: none
	Command []string       // what follows --

	Members int // how many are started here; 0 with Join: nobody knows yet how many there are
	Size    int // of the cluster; 0 likewise

	Ports    string // a number, or names
	PortBase int
	Address  string
	Host     netip.Addr // the address that all members share, in place of Address; zero: none was named

	Env    []string // NAME=TEMPLATE
	Files  []launch.FileText
	Member []string // INDEX[-TO]:CMD
	Role   []string // INDEX[-TO]=NAME

	First        bool
	Ready        string
	ReadyTimeout time.Duration
	StopTimeout  time.Duration
	AfterReady   string
	Then         string
	OnChange     string

	TLS    string
	SAN    []string
	Shared []string

	NoSecret    bool // the members have none in common
	NoAuthority bool // nor an authority that could certify them

	// Join is for one member of a cluster whose others are started elsewhere. It has the
	// endpoints that it has.
	Join    bool
	Own     int    // how many they are; 0: nobody knows yet
	OwnRole string // its role; empty: that which the recipe has for its index
}

// own is what the flags say about some members.
type own struct {
	which recipe.Range
	what  string
}

// parseOwn reads the values of a flag, each INDEX[-TO], a separator and the rest.
func parseOwn(flag string, values []string, separator string, members int) ([]own, error) {
	var all []own
	for _, value := range values {
		o, err := parseOne(value, separator, members)
		if err != nil {
			return nil, fmt.Errorf("--%s %q: %w", flag, value, err)
		}
		all = append(all, o)
	}
	return all, nil
}

func parseOne(value, separator string, members int) (o own, err error) {
	before, what, ok := strings.Cut(value, separator)
	if !ok || what == "" {
		return o, errors.New("want INDEX" + separator + "… or FROM-TO" + separator + "…")
	}
	which, err := recipe.ParseRange(before)
	if err != nil {
		return o, err
	}
	if last := max(which.From, which.To); last >= members {
		return o, fmt.Errorf("there is no member %d: with -n %d the last one is %d", last, members, members-1)
	}
	return own{which, what}, nil
}

// lastFor returns what was said last about the member i.
func lastFor(all []own, i int) (what string, said bool) {
	for _, o := range all {
		if o.which.Has(i) {
			what, said = o.what, true
		}
	}
	return what, said
}

// checkRoles refuses roles whose names are none.
func checkRoles(roles []own) error {
	for _, r := range roles {
		if _, err := xlreg.ParseName(r.what); err != nil {
			return fmt.Errorf("--role: %w", err)
		}
	}
	return nil
}
