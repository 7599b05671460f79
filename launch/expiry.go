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

// FirstExpiry returns the expiry of the certificate in these files that is due for renewal
// first. Until then a program can rely on them.
func FirstExpiry(files ...string) (first Expiry, err error) {
	for _, file := range files {
		e, err := firstExpiry(file)
		if err != nil {
			return Expiry{}, err
		}
		if first.Name == "" || e.Warn.Before(first.Warn) {
			first = e
		}
	}
	return first, nil
}

func firstExpiry(file string) (first Expiry, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Expiry{}, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Expiry{}, fmt.Errorf("%s: %w", file, err)
		}
		e := Expiry{cert.Subject.CommonName, dueForRenewal(cert), cert.NotAfter}
		if first.Name == "" || e.Warn.Before(first.Warn) {
			first = e
		}
	}
	if first.Name == "" {
		return Expiry{}, fmt.Errorf("%s: no certificates", file)
	}
	return first, nil
}

// WatchExpiry calls tell when a certificate in one of the files is due for renewal, and
// once a day after that until they have newer ones. It returns when ctx ends, or when a
// file does not exist.
func WatchExpiry(ctx context.Context, files []string, tell func(Expiry)) {
	const again = 24 * time.Hour
	for {
		e, err := FirstExpiry(files...)
		if err != nil {
			return
		}
		wait := min(time.Until(e.Warn), again) // since a file may be replaced at any time
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
