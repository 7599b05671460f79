// Package outside is that of a user: it sees only what xlreg exports.
package outside

import (
	"net"
	"os"
	"testing"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

func TestMyCluster(t *testing.T) {
	t.Parallel()
	for _, m := range xlregtest.Cluster(t, 5) {
		for _, other := range m.Roster().Members {
			c, err := net.Dial("tcp", string(other.Token.Endpoints[0]))
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
}

func TestMyProgram(t *testing.T) {
	t.Setenv("XLREG_REGISTRY", xlregtest.Start(t).URL())
	target, err := regcred.Load(os.Getenv("XLREG_REGISTRY"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), target, client.Options{Node: xlregtest.Node(t, "mine")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
}
