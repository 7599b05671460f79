package launch

import (
	"testing"

	"github.com/xlattice/xlreg/xlregtest"
)

// dataOf returns a cluster as one of its members sees it.
func dataOf(t *testing.T, m *xlregtest.Membership, dir string) *Data {
	t.Helper()
	d, err := NewData(m.Roster(), m.Self().Token.ID, dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
