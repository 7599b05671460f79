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
	err := s.Update(t.Context(), func(tx store.Writer) error {
		w := NewWriter(tx)
		var errs []error
		for i := range 40 {
			name := xlreg.Name(fmt.Sprintf("%c", 'a'+i%26))
			if i >= 26 {
				name += xlreg.Name(fmt.Sprint(i))
			}
			c := sampleCluster()
			c.ID = xlreg.ClusterID(bytes.Repeat([]byte{byte(i * 7)}, []int{20, 32}[i%2]))
			c.Name = name
			n := Node{Token: xlreg.Token{ID: xlreg.NodeID(c.ID), Name: name}}
			errs = append(errs, w.AddCluster(&c), w.PutNode(&n), w.BindKey(xlreg.KeySum(bytes.Repeat([]byte{byte(i)}, 32)), n.Token.ID))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	var whole, sum Totals
	err = s.View(t.Context(), func(tx store.Reader) (err error) {
		r := NewReader(tx)
		whole, err = r.Count(t.Context())
		for first := range 256 {
			part, partErr := r.CountPart(t.Context(), byte(first))
			sum, err = sum.Plus(part), errors.Join(err, partErr)
		}
		return err
	})
	if err != nil || whole != sum || whole.Nodes != 40 || whole.Clusters != 40 {
		t.Errorf("by parts %+v, whole %+v, %v", sum, whole, err)
	}
}
