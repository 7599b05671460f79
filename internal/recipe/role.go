package recipe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xlattice/xlreg"
)

// Range is some indexes of members.
type Range struct {
	From int
	To   int // the last one; Open: there is none
	Line int
}

// Open is the end of a range that has none.
const Open = -1

// ParseRange reads INDEX, FROM-TO or FROM-.
func ParseRange(text string) (Range, error) {
	first, last, isRange := strings.Cut(text, "-")
	from, ok := parseIndex(first)
	to := from
	switch {
	case isRange && last == "":
		to = Open
	case isRange && ok:
		to, ok = parseIndex(last)
	}
	if !ok {
		return Range{}, fmt.Errorf("%q is no index of a member: want an index such as 0, a range such as 1-3, or 1- for all from there on", text)
	}
	if to != Open && to < from {
		return Range{}, fmt.Errorf("%d comes before %d: write the smaller index first", to, from)
	}
	return Range{From: from, To: to}, nil
}

func parseIndex(text string) (index int, ok bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil && n < xlreg.MaxClusterSize
}

// Has reports whether index is in the range.
func (r Range) Has(index int) bool {
	return index >= r.From && (r.To == Open || index <= r.To)
}

// String is the range as a recipe has it.
func (r Range) String() string {
	switch r.To {
	case Open:
		return fmt.Sprintf("%d-", r.From)
	case r.From:
		return strconv.Itoa(r.From)
	default:
		return fmt.Sprintf("%d-%d", r.From, r.To)
	}
}

func (r Range) overlaps(o Range) bool { return r.Has(o.From) || o.Has(r.From) }

// Member returns the role of the member with that index, which is empty if it has none,
// and what it is told. A role's command and its ready take the place of the recipe's. Its
// variables and files come in addition, and take the place of those of the same name.
func (r *Recipe) Member(index int) (role string, what What) {
	what = What{Command: r.Command, Env: slices.Clone(r.Env), Files: slices.Clone(r.Files), Ready: r.Ready}
	i := slices.IndexFunc(r.Roles, func(role Role) bool { return role.Members.Has(index) })
	if i < 0 {
		return "", what
	}
	own := r.Roles[i]
	if len(own.Command) > 0 {
		what.Command = own.Command
	}
	if own.Ready.Text != "" {
		what.Ready = own.Ready
	}
	what.Env = Override(what.Env, own.Env, func(v Variable) string { return v.Name })
	what.Files = Override(what.Files, own.Files, func(f File) string { return f.Name })
	return own.Name, what
}

// Override returns all, where those of own replace those with the same name.
func Override[T any](all, own []T, name func(T) string) []T {
	for _, o := range own {
		i := slices.IndexFunc(all, func(t T) bool { return name(t) == name(o) })
		if i < 0 {
			all = append(all, o)
			continue
		}
		all[i] = o
	}
	return all
}

// commandless returns an index from which on, as far as the next role that has one,
// members would have no command.
func (r *Recipe) commandless() (index int, found bool) {
	if len(r.Command) > 0 {
		return 0, false
	}
	next := 0
	for next < xlreg.MaxClusterSize {
		i := slices.IndexFunc(r.Roles, func(role Role) bool { return role.Members.Has(next) && len(role.Command) > 0 })
		if i < 0 {
			return next, true
		}
		if r.Roles[i].Members.To == Open {
			return 0, false
		}
		next = r.Roles[i].Members.To + 1
	}
	return 0, false
}
