package launch

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"
)

// Expiry is when a certificate ends.
type Expiry struct {
	Name string    // in its subject: the member's
	Warn time.Time // from when on it is to be renewed, with a third of its life left
	End  time.Time
}

// FirstExpiry returns that of the certificates in the file peers which is to be
// renewed first. Until then what a program was told of its peers is good.
func FirstExpiry(peers string) (Expiry, error) {
	data, err := os.ReadFile(peers)
	if err != nil {
		return Expiry{}, err
	}
	var first Expiry
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Expiry{}, fmt.Errorf("%s: %w", peers, err)
		}
		e := Expiry{cert.Subject.CommonName, cert.NotAfter.Add(-cert.NotAfter.Sub(cert.NotBefore) / 3), cert.NotAfter}
		if first.Name == "" || e.Warn.Before(first.Warn) {
			first = e
		}
	}
	if first.Name == "" {
		return Expiry{}, fmt.Errorf("%s: no certificates", peers)
	}
	return first, nil
}

// WatchExpiry calls tell when a certificate in the file peers is to be renewed, and
// each day from then on until the file has others. It returns when ctx ends, or
// when there is no such file.
func WatchExpiry(ctx context.Context, peers string, tell func(Expiry)) {
	const again = 24 * time.Hour
	for {
		e, err := FirstExpiry(peers)
		if err != nil {
			return
		}
		wait := min(time.Until(e.Warn), again) // as the file may be written anew at any time
		if wait <= 0 {
			tell(e)
			wait = again
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
