package launch

import (
	"fmt"
	"slices"

	"github.com/xlattice/xlreg/internal/recipe"
)

// textInRecipe returns a template of a recipe, whose errors say where in the recipe's file
// it stands.
func textInRecipe(r *recipe.Recipe, t recipe.Text) Text {
	return Text{Where: fmt.Sprintf("%s:%d", r.File, t.Line), Text: t.Text}
}

// recipeFormat returns the format of a builtin recipe. It is parsed when it is used: most
// programs that list the formats use none.
func recipeFormat(r *recipe.Recipe) Format {
	return Format{r.Name, "for " + r.Name + ": " + r.About, func(d *Data) (string, error) {
		f, err := NewFormat(r.Name, "", r.PortNames(), textInRecipe(r, r.Format))
		if err != nil {
			return "", err
		}
		return f.write(d)
	}}
}

// TalkTo returns a command that talks to the cluster as d's member, for the programs of
// builtin recipes that have one. It is for people to paste.
func (d *Data) TalkTo(program string) (command string, known bool) {
	r, known := recipe.ForProgram(program)
	if !known || r.Client.Paste.Text == "" || d.Self == nil {
		return "", false
	}
	t, err := ParseTemplate(textInRecipe(r, r.Client.Paste))
	if err != nil {
		return "", false
	}
	command, err = t.Expand(d.withPorts(r.PortNames()))
	return command, err == nil
}

// withPorts returns d with these names for its ports, or d itself if it has ports of all
// these names.
func (d *Data) withPorts(names []string) *Data {
	if !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(d.PortNames, name) }) {
		return d
	}
	named := *d
	named.PortNames, named.Members = names, nil
	for _, m := range d.Members {
		named.Members = append(named.Members, m.in(&named))
	}
	if i := slices.Index(d.Members, d.Self); i >= 0 {
		named.Self = named.Members[i]
	} else if d.Self != nil {
		named.Self = d.Self.in(&named)
	}
	return &named
}

// in returns the member as one of d.
func (m *MemberData) in(d *Data) *MemberData {
	member := *m
	member.cluster = d
	return &member
}
