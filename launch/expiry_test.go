package launch

import (
	"bytes"
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

// writePeers writes a bundle of certificates of m0 and on, with these lives.
func writePeers(t *testing.T, path string, set *keys.Set, now time.Time, lives ...time.Duration) {
	t.Helper()
	var b bytes.Buffer
	for i, life := range lives {
		token := &xlreg.Token{Name: xlreg.Name([]string{"m0", "m1", "m2"}[i]), SigKey: set.SigKey}
		var err error
		if token.Certificate, err = keys.NewCertificate(set.Sig, token, now, life); err != nil {
			t.Fatal(err)
		}
		der, err := keys.BuildCertificate(token)
		if err != nil {
			t.Fatal(err)
		}
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

const day = 24 * time.Hour

func TestFirstExpiry(t *testing.T) {
	set := xlregtest.Node(t, "n").Keys()
	path := filepath.Join(t.TempDir(), "peers.pem")
	now := time.Now().Truncate(time.Second)
	writePeers(t, path, set, now, 90*day, 30*day, 60*day)
	e, err := FirstExpiry(path)
	end := now.Add(30*day - time.Hour) // certificates are backdated by an hour
	if err != nil || e.Name != "m1" || !e.End.Equal(end) || !e.Warn.Equal(end.Add(-10*day)) {
		t.Errorf("%+v, %v", e, err)
	}
	own := filepath.Join(t.TempDir(), "cert.pem")
	writePeers(t, own, set, now, 20*day)
	if e, err := FirstExpiry(path, own); err != nil || e.Name != "m0" || !e.End.Equal(now.Add(20*day-time.Hour)) {
		t.Errorf("%+v, %v", e, err)
	}
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FirstExpiry(path); err == nil {
		t.Error("a file without certificates")
	}
}

// A warning comes in the last third of a life, each day until the file is written
// anew.
func TestWatchExpiry(t *testing.T) {
	set := xlregtest.Node(t, "n").Keys()
	path := filepath.Join(t.TempDir(), "peers.pem")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		writePeers(t, path, set, begin, 90*day, 30*day)
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan Expiry)
		done := make(chan struct{})
		go func() {
			defer close(done)
			WatchExpiry(ctx, []string{path}, func(e Expiry) { told <- e })
		}()
		first := <-told
		if days := time.Since(begin).Hours() / 24; first.Name != "m1" || days < 19 || days > 21 {
			t.Errorf("told of %s after %.1f days", first.Name, days)
		}
		before := time.Now()
		<-told
		if again := time.Since(before); again != day {
			t.Errorf("told again after %v", again)
		}
		writePeers(t, path, set, time.Now(), 90*day, 90*day)
		before = time.Now()
		<-told
		if days := time.Since(before).Hours() / 24; days < 59 || days > 61 {
			t.Errorf("told of the new ones after %.1f days", days)
		}
		cancel()
		<-done
	})
	WatchExpiry(t.Context(), []string{filepath.Join(t.TempDir(), "none")}, nil) // returns
}
