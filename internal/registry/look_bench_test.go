package registry_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// A page of nodes costs as much as a page, and hardly more where there are many.
func BenchmarkLook(b *testing.B) {
	const nodes, batch = 100_000, 30
	s := memory.New()
	defer s.Close()
	id := func(i int) xlreg.NodeID {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		return xlreg.NodeID(sum[:])
	}
	for i := 0; i < nodes; i += batch {
		err := s.Update(b.Context(), func(tx store.Writer) error {
			w := records.NewWriter(tx)
			var errs []error
			for n := i; n < i+batch; n++ {
				token := xlreg.Token{Name: "n", ID: id(n), SigKey: xlreg.SigKey(fmt.Sprintf("key %0400d", n)), Endpoints: []xlreg.Endpoint{end}}
				errs = append(errs, w.PutNode(&records.Node{Token: token}))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	r, err := registry.New(registry.Config{Store: s, Self: self})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.Run("page of 50 nodes", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if page, _, err := r.NodesAfter(b.Context(), id(i%nodes), 50); err != nil || len(page) == 0 {
				b.Fatal(len(page), err)
			}
		}
	})
}
