// Package expand turns what a recipe says into what package launch tells programs, and tries
// a recipe out before anything starts. It stands between the two: a recipe is data that
// knows no template, and package launch, which is public, shows nothing of recipes.
package expand

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/launch"
)

// Text returns a template of r, whose errors say where in the recipe's file it stands.
func Text(r *recipe.Recipe, t recipe.Text) launch.Text {
	return launch.Text{Where: fmt.Sprintf("%s:%d", r.File, t.Line), Text: t.Text}
}

// Member returns what r's member with that index is told, and its check. No text is no check.
func Member(r *recipe.Recipe, index int) (spec launch.Spec, ready launch.Text) {
	_, what := r.Member(index)
	for _, t := range what.Command {
		spec.Args = append(spec.Args, Text(r, t))
	}
	for _, v := range what.Env {
		spec.Env = append(spec.Env, launch.EnvText{Name: v.Name, Value: Text(r, v.Value)})
	}
	for _, f := range what.Files {
		spec.Files = append(spec.Files, launch.FileText{Name: f.Name, Text: Text(r, f.Text)})
	}
	return spec, Text(r, what.Ready)
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
	}
	c.tryAll(r.TLS == recipe.TLSNone)
	if r.TLS != recipe.TLSNone && slices.Contains(r.TLSOnly, recipe.TLSNone) {
		c.tryAll(true)
	}
	return errors.Join(c.faults...)
}

// tryAll tries all templates out, with TLS or without.
func (c *check) tryAll(noTLS bool) {
	r := c.r
	c.noTLS = noTLS
	if c.format != nil {
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
		c.try(Text(c.r, t), 0)
	}
}

// check collects what is wrong with one recipe.
type check struct {
	r      *recipe.Recipe
	format *launch.Format
	noTLS  bool            // of the cluster that is made up
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

// kinds returns one member of each item of roles, for two items may be of one name, and one
// member without a role if there is any.
func kinds(r *recipe.Recipe) []int {
	var indexes []int
	for _, role := range r.Roles {
		indexes = append(indexes, role.Members.From)
	}
	for i := range xlreg.MaxClusterSize {
		if role, _ := r.Member(i); role == "" {
			indexes = append(indexes, i)
			break
		}
	}
	slices.Sort(indexes)
	return indexes
}

// sample returns a cluster like one that the recipe makes, as the member with that index
// sees it.
func (c *check) sample(index int) *launch.Data {
	shape := launch.Shape{
		Size: max(c.r.Members, index+1), Endpoints: max(len(c.r.Ports), 1), PortNames: c.r.PortNames(),
		Index: index, Roles: make(map[int]string), NoTLS: c.noTLS,
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
	spec, ready := Member(c.r, index)
	command, err := launch.ParseSpec(spec)
	if err == nil {
		_, err = command.Expand(c.sample(index))
	}
	c.note(err)
	c.try(ready, index)
}

// try expands what stands alone.
func (c *check) try(t launch.Text, index int) {
	template, err := launch.ParseTemplate(t)
	if err == nil {
		_, err = template.Expand(c.sample(index))
	}
	c.note(err)
}
