package launch

import (
	"slices"
	"testing"
)

// Each member sees itself, with the same roster in its file.
func TestFor(t *testing.T) {
	c := certifyTwo(t, FileOptions{})
	first := c.data[0]
	other, err := first.For(c.nodes[1].Self().Token.ID, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if first.Self.Index == other.Self.Index || other.Self.Name != c.data[1].Self.Name || other.Dir == first.Dir {
		t.Errorf("%s sees itself as %s in %s", c.data[1].Self.Name, other.Self.Name, other.Dir)
	}
	want, err := EncodeRoster(c.nodes[1].Roster())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.text(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if _, err := first.For("nobody", t.TempDir()); err == nil {
		t.Error("somebody else sees it, too")
	}
	if _, err := Sample(Shape{Size: 2}).For(c.nodes[1].Self().Token.ID, t.TempDir()); err == nil {
		t.Error("somebody sees a sample")
	}
}
