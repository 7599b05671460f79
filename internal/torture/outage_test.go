package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/keys"
)

// openEtcd opens a store in a cluster, until the test ends.
func openEtcd(t *testing.T, e *etcdtest.Cluster, o etcd.Options) *mirror.Store {
	t.Helper()
	data, err := etcd.Open(t.Context(), e.URL("outage"), o)
	must(t, err)
	t.Cleanup(func() { must(t, data.Close()) })
	return data
}

// member is a client that has registered.
func member(t *testing.T, r *inside, name string) *client.Client {
	t.Helper()
	set, err := keys.Generate(keys.P256, 256)
	must(t, err)
	node, err := identity.NewNode(identity.Options{
		Name: xlreg.Name(name), Keys: set, Endpoints: []xlreg.Endpoint{"127.0.0.1:7000"},
	})
	must(t, err)
	c, err := client.Dial(t.Context(), r.target, client.Options{Node: node})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = c.Register(t.Context())
	must(t, err)
	return c
}

// newCluster creates a cluster, joins it and reads it.
func newCluster(ctx context.Context, c *client.Client, name string) error {
	if _, err := c.Create(ctx, client.CreateOptions{Name: xlreg.Name(name), Size: 2}); err != nil {
		return err
	}
	if _, err := c.Join(ctx, xlreg.ClusterRef{Name: xlreg.Name(name)}); err != nil {
		return err
	}
	return hasOne(ctx, c, name)
}

func hasOne(ctx context.Context, c *client.Client, name string) error {
	r, err := c.Members(ctx, xlreg.ClusterRef{Name: xlreg.Name(name)})
	if err == nil && len(r.Members) != 1 {
		err = fmt.Errorf("%d members in %s", len(r.Members), name)
	}
	return err
}

// An etcd that is out of space refuses what is new, which clients are told to try again,
// and shows what there is. When there is space again and the alarm is off, all goes on and
// nothing is lost.
func TestEtcdIsOutOfSpace(t *testing.T) {
	alongside(t)
	e := etcdtest.Start(t, etcdtest.Options{Args: []string{"--quota-backend-bytes", fmt.Sprint(4 << 20)}})
	r := serve(t, func(cfg *host.Config) { cfg.Store = openEtcd(t, e, etcd.Options{}) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := member(t, r, "m")
	must(t, newCluster(ctx, c, "before"))
	fill(ctx, t, e)
	for n := range 5 {
		_, err := c.Create(ctx, client.CreateOptions{Name: xlreg.Name(fmt.Sprint("full", n)), Size: 2})
		if kind, _ := xlreg.KindOf(err); kind != xlreg.ErrTryLater {
			t.Errorf("create while there is no space: %v", err)
		}
		must(t, hasOne(ctx, reading(t, r), "before"))
	}
	empty(ctx, t, e)
	after := member(t, r, "n")
	must(t, newCluster(ctx, after, "after"))
	must(t, hasOne(ctx, after, "before"))
	for n := range 5 {
		_, err := after.Members(ctx, xlreg.ClusterRef{Name: xlreg.Name(fmt.Sprint("full", n))})
		if kind, _ := xlreg.KindOf(err); kind != xlreg.ErrNoSuchClusterName {
			t.Errorf("what was refused is there: %v", err)
		}
	}
}

// reading is a client that only reads.
func reading(t *testing.T, r *inside) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), r.target, client.Options{})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// fill takes all the space that there is.
func fill(ctx context.Context, t *testing.T, e *etcdtest.Cluster) {
	t.Helper()
	junk := strings.Repeat("j", 1<<18)
	for n := range 1000 {
		if _, err := e.Client().Put(ctx, fmt.Sprint("junk/", n), junk); err != nil {
			if !strings.Contains(err.Error(), "space") {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("there is no end to the space")
}

// empty does what an operator does about that.
func empty(ctx context.Context, t *testing.T, e *etcdtest.Cluster) {
	t.Helper()
	_, err := e.Client().Delete(ctx, "junk/", clientv3.WithPrefix())
	must(t, err)
	e.Compact()
	for _, end := range e.Endpoints() {
		_, err = e.Client().Defragment(ctx, end)
		must(t, err)
	}
	_, err = e.Client().AlarmDisarm(ctx, &clientv3.AlarmMember{})
	must(t, err)
}

// The tokens of a store's user expire again and again, and clients notice nothing.
func TestEtcdTokensExpire(t *testing.T) {
	alongside(t)
	e := etcdtest.Start(t, etcdtest.Options{Members: 3, Args: []string{"--auth-token-ttl", "1"}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const password = "only in this test"
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	operator := e.Client()
	_, err := operator.UserAdd(ctx, "root", password)
	_, err2 := operator.UserGrantRole(ctx, "root", "root")
	_, err3 := operator.AuthEnable(ctx)
	must(t, errors.Join(err, err2, err3))
	r := serve(t, func(cfg *host.Config) {
		cfg.Store = openEtcd(t, e, etcd.Options{User: "root", PasswordFile: file})
	})
	c := member(t, r, "m")
	for n := range either(4, 20) {
		must(t, newCluster(ctx, c, fmt.Sprint("c", n)))
		<-time.After(1500 * time.Millisecond) // past the end of a token that nobody uses
	}
}
