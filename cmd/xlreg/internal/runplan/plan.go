package runplan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/recipe/expand"
	"github.com/xlattice/xlreg/launch"
)

// Plan is what a run does.
type Plan struct {
	Recipe *recipe.Recipe // nil: none
	Ports  Ports
	TLS    string // one of package recipe's
	SAN    []string

	First        bool          // member 0 is ready before the others start
	ReadyTimeout time.Duration // 0: the usual
	StopTimeout  time.Duration // 0: the usual
	Shared       []string

	Members    []*Member        // by their indexes; those that are told the same are one
	AfterReady *launch.Template // nil: none, as with the next four
	Then       *launch.Template
	OnChange   *launch.Template
	Paste      *launch.Template
	ClientEnv  []Variable

	format   *launch.Format // of the recipe; nil: none
	size     int
	join     bool // as in Flags, as are the next ones
	own      int
	ownRole  string
	noSecret bool
}

// Member is what a member is told.
type Member struct {
	Role    string
	Command *launch.Command
	Ready   *Ready // nil: it is ready when it runs
}

// Variable is one in the environment of programs that talk to the cluster.
type Variable struct {
	Name  string
	Value *launch.Template
}

// errNoCommand says that there is nothing to start.
var errNoCommand = errors.New("say what to start: a recipe's name, or -- COMMAND ARG…")

// errNoAuthority says that members that are started apart from each other would have an
// authority each.
var errNoAuthority = errors.New("an authority has to sign the certificates (--tls ca): give all members the same one with --authority FILE")

// Make returns the plan for a run, whose templates have been tried out on a cluster like the
// one that there will be.
func Make(f *Flags) (*Plan, error) {
	if f.Recipe == nil && len(f.Command) == 0 && len(f.Member) == 0 {
		return nil, errNoCommand
	}
	p := &Plan{
		Recipe: f.Recipe, SAN: f.SAN, First: f.First, ReadyTimeout: f.ReadyTimeout, StopTimeout: f.StopTimeout, Shared: f.Shared, TLS: f.TLS,
		size: f.Size, join: f.Join, own: f.Own, ownRole: f.OwnRole, noSecret: f.NoSecret,
	}
	for _, step := range []func(*Flags) error{p.takeRecipe, p.takePorts, p.takeMembers, p.takeCommands, p.check, p.try} {
		if err := step(f); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// takeRecipe fills in what the flags leave open.
func (p *Plan) takeRecipe(f *Flags) error {
	r := f.Recipe
	if r == nil {
		p.TLS = cmp.Or(p.TLS, recipe.TLSSelf)
		return nil
	}
	if f.Size != 0 && f.Size < r.Fewest {
		return fmt.Errorf("%s needs at least %d members: start as many with -n", r.Name, r.Fewest)
	}
	if p.TLS != "" && len(r.TLSOnly) > 0 && !slices.Contains(r.TLSOnly, p.TLS) {
		return fmt.Errorf("--tls %s: %s works with --tls %s", p.TLS, r.Name, strings.Join(r.TLSOnly, " or --tls "))
	}
	p.TLS = cmp.Or(p.TLS, r.TLS, recipe.TLSSelf)
	p.ReadyTimeout = cmp.Or(p.ReadyTimeout, r.ReadyTimeout)
	p.StopTimeout = cmp.Or(p.StopTimeout, r.StopTimeout)
	p.First = p.First || r.First
	p.Shared = slices.Concat(r.Shared, p.Shared)
	return p.takeFormat(r)
}

// takeFormat parses the format of the recipe, if it has one.
func (p *Plan) takeFormat(r *recipe.Recipe) error {
	format, has, err := expand.Format(r)
	if has {
		p.format = &format
	}
	return err
}

func (p *Plan) takePorts(f *Flags) (err error) {
	p.Ports.Base = f.PortBase
	address, where := f.Address, "--address"
	if r := f.Recipe; r != nil {
		p.Ports.List = slices.Clone(r.Ports)
		if address == "" {
			address, where = r.Address, r.File+": address"
		}
	}
	if f.Ports != "" {
		if p.Ports.List, err = parsePorts(f.Ports); err != nil {
			return fmt.Errorf("--ports %s: %w", f.Ports, err)
		}
	}
	if len(p.Ports.List) == 0 {
		p.Ports.List = make([]recipe.Port, 1)
	}
	if f.Join {
		return nil
	}
	if p.Ports.Host = f.Host; f.Host.IsValid() {
		return p.Ports.check(f.Members)
	}
	if address != "" {
		if p.Ports.First, err = recipe.ParseAddress(address); err != nil {
			return fmt.Errorf("%s %s: %w", where, address, err)
		}
	}
	return p.Ports.check(f.Members)
}

// takeCommands parses what is run once, and what is for programs that talk to the cluster.
func (p *Plan) takeCommands(f *Flags) (err error) {
	after, paste := launch.Text{Where: "--after-ready", Text: f.AfterReady}, launch.Text{}
	if r := f.Recipe; r != nil {
		paste = expand.Text(r, r.Client.Paste)
		if f.AfterReady == "" {
			after = expand.Text(r, r.AfterReady)
		}
		for _, v := range r.Client.Env {
			t, err := launch.ParseTemplate(expand.Text(r, v.Value))
			if err != nil {
				return err
			}
			p.ClientEnv = append(p.ClientEnv, Variable{v.Name, t})
		}
	}
	if p.AfterReady, err = parse(after); err != nil {
		return err
	}
	if p.Paste, err = parse(paste); err != nil {
		return err
	}
	if p.Then, err = parse(launch.Text{Where: "--then", Text: f.Then}); err != nil {
		return err
	}
	p.OnChange, err = parse(launch.Text{Where: "--on-change", Text: f.OnChange})
	return err
}

// parse returns nil for no text.
func parse(t launch.Text) (*launch.Template, error) {
	if t.Text == "" {
		return nil, nil //nolint:nilnil // there is none, and nothing is wrong
	}
	return launch.ParseTemplate(t)
}

// check looks at what belongs together.
func (p *Plan) check(f *Flags) error {
	switch {
	case !slices.Contains([]string{recipe.TLSSelf, recipe.TLSCA, recipe.TLSNone}, p.TLS):
		return fmt.Errorf("--tls %s: want self, ca or none", p.TLS)
	case len(p.SAN) > 0 && p.TLS != recipe.TLSCA:
		return errors.New("--san: only an authority signs other names: give --tls ca, too")
	case p.First && !p.join && p.Members[0].Ready == nil:
		return errors.New("--first: say when member 0 is ready, with --ready")
	case p.TLS == recipe.TLSCA && f.NoAuthority:
		return errNoAuthority
	case p.Recipe != nil && f.Own > 0 && f.Own < len(p.Ports.List):
		return fmt.Errorf("%s has the ports %s: give an --endpoint for each, in this order", p.Recipe.Name, strings.Join(p.Ports.Names(), " and "))
	case f.ReadyTimeout < 0:
		return fmt.Errorf("--ready-timeout %v: want more than 0", f.ReadyTimeout)
	case f.ReadyTimeout > 0 && !slices.ContainsFunc(p.Members, func(m *Member) bool { return m.Ready != nil }):
		return errors.New("--ready-timeout: say when a member is ready, with --ready")
	}
	return p.checkNames()
}

// checkNames looks at the names that flags list.
func (p *Plan) checkNames() error {
	for _, name := range p.SAN {
		if err := launch.CheckSAN(name); err != nil {
			return fmt.Errorf("--san: %w", err)
		}
	}
	for _, name := range p.Shared {
		if name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("--shared %q: want the name of a program, without its directory", name)
		}
	}
	return nil
}

// try expands all templates over an invented cluster, so that what is wrong with one is told
// before anything is started.
func (p *Plan) try(*Flags) error {
	tried := make(map[*Member]bool)
	for i, m := range p.Members {
		if tried[m] {
			continue
		}
		tried[m] = true
		d := p.sample(i)
		if _, err := m.Command.Expand(d); err != nil {
			return err
		}
		if err := m.Ready.try(d); err != nil {
			return err
		}
	}
	d := p.sample(0)
	for _, t := range []*launch.Template{p.AfterReady, p.Then, p.OnChange, p.Paste} {
		if _, err := Expand(t, d); err != nil {
			return err
		}
	}
	_, err := p.Env(d)
	return err
}

// sample returns an invented cluster as its member i sees it.
func (p *Plan) sample(i int) *launch.Data {
	s := launch.Shape{Size: p.size, PortNames: p.Ports.Names(), Index: i, Roles: p.Roles(), NoTLS: p.TLS == recipe.TLSNone, NoSecret: p.noSecret}
	if p.join {
		s.Own = p.own
	} else {
		s.Endpoints = len(p.Ports.List)
	}
	d := launch.Sample(s)
	p.addFormat(d)
	return d
}

// addFormat gives d the format of the recipe, which every cluster has only if it is a builtin
// one.
func (p *Plan) addFormat(d *launch.Data) {
	if p.format != nil {
		d.AddFormat(*p.format)
	}
}

// Roles returns the roles of the members that have one, by their indexes. It is nil if
// members from elsewhere have roles that nobody knows.
func (p *Plan) Roles() map[int]string {
	if p.size > len(p.Members) || p.join && (p.Recipe == nil || p.ownRole != "") {
		return nil
	}
	roles := make(map[int]string)
	for i, m := range p.Members {
		if m.Role != "" {
			roles[i] = m.Role
		}
	}
	return roles
}

// Env returns the variables, as NAME=value, for programs that talk to the cluster as d's
// member. One whose value would be empty is not set: many programs would take it for a path.
// PATH is for those who start them, who know what else is in it: it has a name of its own.
func (p *Plan) Env(d *launch.Data) ([]string, error) {
	var env []string
	for _, v := range p.ClientEnv {
		value, err := v.Value.Expand(d)
		if err != nil {
			return nil, err
		}
		name := v.Name
		if name == "PATH" {
			name = launch.EnvPath
		}
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env, nil
}

// Expand returns what a template says to d's member. No template says nothing.
func Expand(t *launch.Template, d *launch.Data) (string, error) {
	if t == nil {
		return "", nil
	}
	return t.Expand(d)
}

// KeyStores reports whether a template names the files that Java wants.
func (p *Plan) KeyStores() bool {
	for _, t := range []*launch.Template{p.AfterReady, p.Then, p.OnChange, p.Paste} {
		if t != nil && t.KeyStores() {
			return true
		}
	}
	return slices.ContainsFunc(p.Members, func(m *Member) bool { return m.Command.KeyStores() }) ||
		slices.ContainsFunc(p.ClientEnv, func(v Variable) bool { return v.Value.KeyStores() })
}

// Complete tells d what the plan says of the cluster. Members that do not tell their roles
// themselves get those of the plan: over a classic carrier they cannot, and one that joins by
// a recipe does not know its index beforehand.
func (p *Plan) Complete(d *launch.Data) {
	p.addFormat(d)
	d.PortNames = p.Ports.Names()
	d.NoTLS = p.TLS == recipe.TLSNone
	for i, role := range p.Roles() {
		if i >= len(d.Members) || d.Members[i].Role() != "" {
			continue
		}
		m := d.Members[i]
		m.Labels = maps.Clone(m.Labels)
		if m.Labels == nil {
			m.Labels = make(map[string]string)
		}
		m.Labels[launch.RoleLabel] = role
	}
}
