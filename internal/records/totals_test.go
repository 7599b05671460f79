package records

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// The parts of a count are all there is.
func TestCountByParts(t *testing.T) {
	s := memory.New()
	defer s.Close()
	for i := range 40 {
		err := s.Update(t.Context(), func(tx store.Writer) error {
			w := NewWriter(tx)
			name := xlreg.Name(fmt.Sprintf("%c", 'a'+i%26))
			if i >= 26 {
				name += xlreg.Name(fmt.Sprint(i))
			}
			c := sampleCluster()
			c.ID = xlreg.ClusterID(bytes.Repeat([]byte{byte(i * 7)}, []int{20, 32}[i%2]))
			c.Name = name
			n := Node{Token: xlreg.Token{ID: xlreg.NodeID(c.ID), Name: name}}
			return errors.Join(w.AddCluster(&c), w.PutNode(&n), w.BindKey(xlreg.KeySum(bytes.Repeat([]byte{byte(i)}, 32)), n.Token.ID))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var whole, sum Totals
	err := s.View(t.Context(), func(tx store.Reader) (err error) {
		whole, err = NewReader(tx).Count(t.Context())
		return err
	})
	for first := range 256 {
		err = errors.Join(err, s.View(t.Context(), func(tx store.Reader) error {
			part, err := NewReader(tx).CountPart(t.Context(), byte(first))
			sum = sum.Plus(part)
			return err
		}))
	}
	if err != nil || whole != sum || whole.Nodes != 40 || whole.Clusters != 40 {
		t.Errorf("by parts %+v, whole %+v, %v", sum, whole, err)
	}
}
