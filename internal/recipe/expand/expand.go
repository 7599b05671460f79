// Package expand makes of a recipe what package launch has for telling programs, and tries
// a recipe out before anything starts. It stands between the two: a recipe is data that
// knows no template, and package launch, which is public, shows nothing of recipes.
package expand

import (
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/launch"
)

// Text returns a template of r, whose errors say where in the recipe's file it stands.
func Text(r *recipe.Recipe, t recipe.Text) launch.Text {
	return launch.Text{Where: fmt.Sprintf("%s:%d", r.File, t.Line), Text: t.Text}
}

// Spec returns the role of r's member with that index, and what it is told.
func Spec(r *recipe.Recipe, index int) (role string, spec launch.Spec) {
	role, what := r.Member(index)
	for _, t := range what.Command {
		spec.Args = append(spec.Args, Text(r, t))
	}
	for _, v := range what.Env {
		spec.Env = append(spec.Env, launch.EnvText{Name: v.Name, Value: Text(r, v.Value)})
	}
	for _, f := range what.Files {
		spec.Files = append(spec.Files, launch.FileText{Name: f.Name, Text: Text(r, f.Text)})
	}
	return role, spec
}

// Format returns the format of r, for launch.Data.AddFormat. A recipe need not have one,
// and every cluster has those of the builtin ones.
func Format(r *recipe.Recipe) (f launch.Format, has bool, err error) {
	if r.Format.Text == "" {
		return launch.Format{}, false, nil
	}
	f, err = launch.NewFormat(r.Name, r.About, r.PortNames(), Text(r, r.Format))
	return f, err == nil, err
}

// Check tries all templates of r out on a made-up cluster, for every role. Its error has a
// line for each fault, which says where that is.
func Check(r *recipe.Recipe) error {
	c := &check{r: r, told: make(map[string]bool)}
	format, has, err := Format(r)
	c.note(err)
	if has {
		c.format = &format
		c.tryFormat()
	}
	for _, index := range kinds(r) {
		c.tryMember(index)
	}
	whole := []recipe.Text{r.AfterReady, r.Status, r.Client.Paste}
	for _, v := range r.Client.Env {
		whole = append(whole, v.Value)
	}
	for _, t := range whole {
		c.try(t, 0)
	}
	return errors.Join(c.faults...)
}

// check collects what is wrong with one recipe.
type check struct {
	r      *recipe.Recipe
	format *launch.Format
	told   map[string]bool // what faults has
	faults []error
}

// note keeps an error, once: members of several roles may have it.
func (c *check) note(err error) {
	if err == nil || c.told[err.Error()] {
		return
	}
	c.told[err.Error()] = true
	c.faults = append(c.faults, err)
}

// kinds returns one member of each role, and one without a role if there is any.
func kinds(r *recipe.Recipe) []int {
	var indexes []int
	seen := make(map[string]bool)
	for i := range xlreg.MaxClusterSize {
		if role, _ := r.Member(i); !seen[role] {
			seen[role] = true
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// sample returns a cluster like one that the recipe makes, as the member with that index
// sees it.
func (c *check) sample(index int) *launch.Data {
	shape := launch.Shape{
		Size: max(c.r.Members, index+1), Endpoints: max(len(c.r.Ports), 1), PortNames: c.r.PortNames(),
		Index: index, Roles: make(map[int]string), NoTLS: c.r.TLS == recipe.TLSNone,
	}
	for i := range shape.Size {
		shape.Roles[i], _ = c.r.Member(i)
	}
	d := launch.Sample(shape)
	if c.format != nil {
		d.AddFormat(*c.format)
	}
	return d
}

// tryFormat tries the format out as a member sees it, and as a reader does.
func (c *check) tryFormat() {
	d := c.sample(0)
	if _, err := d.Format(c.r.Name); err != nil {
		c.note(unwrapped(err))
		return
	}
	d.Self, d.Dir = nil, ""
	if _, err := d.Format(c.r.Name); err != nil {
		c.note(fmt.Errorf("%w: 'xlreg get --format' has no .Self: put what is for members alone between {{if .Self}} and {{end}}", unwrapped(err)))
	}
}

// unwrapped is the error of a format without its name before the place in the file.
func unwrapped(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func (c *check) tryMember(index int) {
	_, spec := Spec(c.r, index)
	command, err := launch.ParseSpec(spec)
	if err == nil {
		_, err = command.Expand(c.sample(index))
	}
	c.note(err)
	_, what := c.r.Member(index)
	c.try(what.Ready, index)
}

// try expands what stands alone.
func (c *check) try(t recipe.Text, index int) {
	template, err := launch.ParseTemplate(Text(c.r, t))
	if err == nil {
		_, err = template.Expand(c.sample(index))
	}
	c.note(err)
}
