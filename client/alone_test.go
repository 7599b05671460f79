package client_test

import (
	"testing"
	"time"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/keys"
)

func TestAlone(t *testing.T) {
	node := newNode(t, "solo")
	now := time.Now()
	r := must[*client.Roster](t)(client.Alone(node, "c", now))
	m := r.ByIndex(0)
	if r.Cluster.Name != "c" || r.Missing() != 0 || len(r.Members) != 1 || m == nil || m.Token.Name != "solo" || len(r.Unverified()) != 0 {
		t.Fatalf("%+v", r)
	}
	if err := keys.VerifyMember(&m.Token); err != nil {
		t.Error(err)
	}
	if cert, err := m.Certificate(); err != nil || r.ByCertificate(cert) != m {
		t.Errorf("its certificate is another's: %v", err)
	}
	if r.ShortSum() != "" || !m.Token.Seat.Joined.Equal(now) {
		t.Errorf("sum %q, joined %v", r.ShortSum(), m.Token.Seat.Joined)
	}
	again := must[*client.Roster](t)(client.Alone(node, "c", now.Add(time.Hour)))
	if again.Cluster.ID != r.Cluster.ID || again.Members[0].Token.ID != m.Token.ID {
		t.Error("the next time it is another")
	}
	if _, err := client.Alone(node, "", now); err == nil {
		t.Error("without a name")
	}
}
