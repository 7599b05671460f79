package client

import (
	"errors"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/keys"
)

// FuzzVerifySigned reads what is said to be a saved signed roster. It is refused as a bad
// document, or is one of those that the registry has signed: nobody else can change who is
// in it, or make another.
func FuzzVerifySigned(f *testing.F) {
	var pin keys.Pin
	sums := make(map[string]bool)
	for _, vector := range classOf(f, "signed") {
		in := signedInput(f, vector)
		f.Add(in.document())
		if vector.Layer != vectors.Success {
			continue
		}
		var want struct {
			Sum hexBytes `json:"sum"`
		}
		decodeInto(f, vector.Want, &want)
		sums[string(want.Sum)] = true
		if vector.Name == "keyed" {
			pin = keys.Pin{SigKey: xlreg.SigKey(in.SigKey)}
		}
	}
	verify := func(document []byte) (*SignedRoster, error) {
		parts, err := readDocument(document)
		if err != nil {
			return nil, ErrBadDocument
		}
		return verifySigned(parts, pin, "")
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		signed, err := verify(document)
		switch {
		case err != nil && !errors.Is(err, ErrBadDocument):
			t.Errorf("got %v", err)
		case err == nil && !sums[string(signed.Sum[:])]:
			t.Errorf("taken for signed: %v", signed.Roster)
		}
	})
}
