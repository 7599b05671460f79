package xlreg_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

func TestRoster(t *testing.T) {
	r := &xlreg.Roster{Cluster: xlreg.Cluster{MaxSize: 2}}
	if r.Full() || !r.Seats().IsEmpty() {
		t.Errorf("an empty roster is full or has %d seats", r.Seats().Len())
	}
	r.Members = []xlreg.Member{{Index: 0}, {Index: 1023}}
	if want := xlreg.SeatsOf(0, 1023); !r.Full() || r.Seats() != want {
		t.Errorf("%d seats, full: %v", r.Seats().Len(), r.Full())
	}
}

func TestClusterRef(t *testing.T) {
	if !(xlreg.ClusterRef{}).IsZero() || (xlreg.ClusterRef{Name: "a"}).IsZero() || (xlreg.ClusterRef{ID: "a"}).IsZero() {
		t.Error("IsZero")
	}
	if !(xlreg.ClusterRef{Key: "k"}).IsZero() {
		t.Error("a key alone names a cluster")
	}
}

func TestClusterKey(t *testing.T) {
	for n := range 70 {
		err := xlreg.ClusterKey(strings.Repeat("k", n)).Validate()
		if want := n == 0 || n == 32; (err == nil) != want {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err != nil && !errors.Is(err, xlreg.ErrIllFormedName) {
			t.Errorf("%d bytes: %v is of another kind than %v", n, err, xlreg.ErrIllFormedName)
		}
	}
}

// Classic peers see neither keyed clusters nor large ones.
func TestClassicClusters(t *testing.T) {
	for _, c := range []struct {
		cluster xlreg.Cluster
		want    bool
	}{
		{xlreg.Cluster{MaxSize: 2}, true},
		{xlreg.Cluster{MaxSize: 64}, true},
		{xlreg.Cluster{MaxSize: 65}, false},
		{xlreg.Cluster{MaxSize: 2, Key: "k"}, false},
	} {
		if got := c.cluster.Classic(); got != c.want {
			t.Errorf("%d members, key %q: %v", c.cluster.MaxSize, c.cluster.Key, got)
		}
	}
}

func TestKnownAttrs(t *testing.T) {
	if xlreg.KnownClusterAttrs != 1|2|4 || xlreg.ClusterUnique != 4 || xlreg.ClusterEphemeral != 1 {
		t.Error("cluster bits are not those of the protocol")
	}
	if xlreg.KnownNodeAttrs != 1|2|4 || xlreg.AttrEphemeral != 1 || xlreg.AttrAdmin != 2 || xlreg.AttrSolo != 4 {
		t.Error("node bits are not those of the protocol")
	}
}
