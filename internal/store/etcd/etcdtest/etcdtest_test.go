package etcdtest_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A cluster goes through all that a test may do to it, and keeps what it was told.
func TestCluster(t *testing.T) {
	c := etcdtest.Start(t, etcdtest.Options{Members: 3})
	if _, err := c.Client().Put(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	before := c.Leader()
	if next := c.MoveLeader(); next == before || c.Leader() != next {
		t.Errorf("leader was %d, moved to %d, is %d", before, next, c.Leader())
	}
	c.Compact()
	for _, end := range []func(){c.Member(0).Kill, c.Member(0).Stop} {
		end()
		c.Member(0).Restart()
	}
	c.Member(1).Pause()
	c.Member(1).Resume()
	c.WaitReady()
	resp, err := c.Client().Get(t.Context(), "key")
	if err != nil || resp.Count != 1 || string(resp.Kvs[0].Value) != "value" {
		t.Errorf("got %v, %v", resp, err)
	}
	if url := c.URL("p"); !strings.HasPrefix(url, "etcd://"+c.Member(0).Endpoint()+",") || !strings.HasSuffix(url, "/p") {
		t.Errorf("URL %q", url)
	}
}
