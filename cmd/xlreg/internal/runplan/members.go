package runplan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/recipe/expand"
	"github.com/xlattice/xlreg/launch"
)

// takeMembers says what each member is told. Members of one role, and with the same command,
// are told the same.
func (p *Plan) takeMembers(f *Flags) error {
	commands, err := parseOwn("member", f.Member, ":", f.Members)
	if err != nil {
		return err
	}
	roles, err := parseOwn("role", f.Role, "=", f.Members)
	if err == nil {
		err = checkRoles(roles)
	}
	if err != nil {
		return err
	}
	count := f.Members
	if count == 0 {
		count = xlreg.MaxClusterSize
	}
	if f.OwnRole != "" {
		roles = append(roles, own{recipe.Range{To: recipe.Open}, f.OwnRole})
	}
	kinds := make(map[told]*Member)
	like := firstLike(f.Recipe, count)
	for i := range count {
		t := like[i]
		t.apply(f.Recipe, i, roles, commands)
		if kinds[t] == nil {
			if kinds[t], err = p.member(f, t, i); err != nil {
				return err
			}
		}
		p.Members = append(p.Members, kinds[t])
	}
	return nil
}

// told is which of the things that can be told a member is told.
type told struct {
	like    int // the member of the recipe that it is like
	role    string
	command string // of --member; empty: the recipe's, or the one after --
}

// firstLike returns what a recipe says about each of n members: the same about all that
// have the same role.
func firstLike(r *recipe.Recipe, n int) []told {
	all := make([]told, n)
	if r == nil {
		return all
	}
	first := make(map[string]int)
	for i := range all {
		role, _ := r.Member(i)
		if _, seen := first[role]; !seen {
			first[role] = i
		}
		all[i] = told{like: first[role], role: role}
	}
	return all
}

// apply changes t to what flags say about the member i. The role that they give it may be
// one of the recipe's.
func (t *told) apply(r *recipe.Recipe, i int, roles, commands []own) {
	t.command, _ = lastFor(commands, i)
	role, said := lastFor(roles, i)
	if !said {
		return
	}
	t.role = role
	if r == nil {
		return
	}
	if at := slices.IndexFunc(r.Roles, func(known recipe.Role) bool { return known.Name == role }); at >= 0 {
		t.like = r.Roles[at].Members.From
	}
}

// member puts together what a recipe and the flags say about members like the one of the
// index i.
func (p *Plan) member(f *Flags, t told, i int) (m *Member, err error) {
	var s launch.Spec
	var ready launch.Text
	if f.Recipe != nil {
		s, ready = expand.Member(f.Recipe, t.like)
	}
	for n, text := range f.Command {
		s.Args = append(s.Args, launch.Text{Where: fmt.Sprintf("argument %d", n), Text: text})
	}
	if t.command != "" {
		s.Args = shell(launch.Text{Where: "--member", Text: t.command})
	}
	if len(s.Args) == 0 {
		return nil, fmt.Errorf("member %d has no command: give one after --, or with --member %d:CMD", i, i)
	}
	env, err := flagEnv(f.Env)
	if err != nil {
		return nil, err
	}
	s.Env = recipe.Override(s.Env, env, func(v launch.EnvText) string { return v.Name })
	s.Files = recipe.Override(s.Files, f.Files, func(f launch.FileText) string { return f.Name })
	if f.Ready != "" {
		ready = launch.Text{Where: "--ready", Text: f.Ready}
	}
	m = &Member{Role: t.role}
	if m.Command, err = launch.ParseSpec(s); err != nil {
		return nil, err
	}
	if m.Ready, err = parseReady(ready); err != nil {
		return nil, err
	}
	if f.Ready == "" && p.TLS == recipe.TLSNone { // the recipe means a member with TLS
		m.Ready = m.Ready.withoutTLS()
	}
	return m, nil
}

// shell returns the command line that runs text.
func shell(text launch.Text) []launch.Text {
	return []launch.Text{{Where: text.Where, Text: "sh"}, {Where: text.Where, Text: "-c"}, text}
}

// flagEnv reads --env.
func flagEnv(list []string) ([]launch.EnvText, error) {
	var all []launch.EnvText
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--env %q: want NAME=VALUE", text)
		}
		all = append(all, launch.EnvText{Name: name, Value: launch.Text{Where: "--env " + name, Text: value}})
	}
	return all, nil
}
