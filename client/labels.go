package client

import (
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
)

// Labels returns what the member tells the others besides its addresses; nil if that is
// nothing. It signed them like everything else that it says.
func (m *Member) Labels() map[string]string {
	labels, err := wire.DecodeLabels(m.Token.Labels)
	if err != nil || len(labels) == 0 {
		return nil // ill-formed ones are refused where a roster is read
	}
	all := make(map[string]string, len(labels))
	for _, l := range labels {
		all[string(l.Key)] = string(l.Value)
	}
	return all
}

// SetLabels replaces the labels of a node, for the rosters that are read after it registers
// and joins the next time. FormOptions.Labels does it for a Form. Labels that a token may
// not have are an error of kind xlreg.ErrIllFormedToken.
func SetLabels(n *identity.Node, labels map[string]string) error {
	list := make([]xlreg.Label, 0, len(labels))
	for key, value := range labels {
		list = append(list, xlreg.Label{Key: xlreg.Name(key), Value: []byte(value)})
	}
	encoded, err := wire.EncodeLabels(list)
	if err != nil {
		return fmt.Errorf("set labels: %w", err)
	}
	n.SetLabels(encoded)
	return nil
}
