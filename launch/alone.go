package launch

import (
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
)

// Alone returns a cluster that node is the only member of, as it sees it itself. It needs no
// registry.
func Alone(node *identity.Node, cluster xlreg.Name, dir string) (*Data, error) {
	roster, err := client.Alone(node, cluster, time.Now())
	if err != nil {
		return nil, err
	}
	return NewData(roster, roster.Members[0].Token.ID, dir)
}
