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
	Name string    // the member's, or the authority's, which is the certificate's subject
	Warn time.Time // when it is due for renewal: a third of its life is left
	End  time.Time
}

// FirstExpiry returns the expiry of the certificate in the file peers that is due for
// renewal first. Until then a program can rely on the file.
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
		e := Expiry{cert.Subject.CommonName, dueForRenewal(cert), cert.NotAfter}
		if first.Name == "" || e.Warn.Before(first.Warn) {
			first = e
		}
	}
	if first.Name == "" {
		return Expiry{}, fmt.Errorf("%s: no certificates", peers)
	}
	return first, nil
}

// WatchExpiry calls tell when a certificate in the file peers is due for renewal, and
// once a day after that until the file has newer ones. It returns when ctx ends, or
// when the file does not exist.
func WatchExpiry(ctx context.Context, peers string, tell func(Expiry)) {
	const again = 24 * time.Hour
	for {
		e, err := FirstExpiry(peers)
		if err != nil {
			return
		}
		wait := min(time.Until(e.Warn), again) // since the file may be replaced at any time
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
