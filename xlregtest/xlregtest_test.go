package xlregtest_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

func TestARegistryIsFoundInEveryWay(t *testing.T) {
	t.Parallel()
	r := xlregtest.Start(t)
	targets := map[string]*regcred.Target{"target": r.Target()}
	for name, word := range map[string]string{"url": r.URL(), "file": r.CredFile(t)} {
		target, err := regcred.Load(word)
		if err != nil {
			t.Fatal(err)
		}
		targets[name] = target
	}
	for name, target := range targets {
		c, err := client.Dial(t.Context(), target, client.Options{Node: xlregtest.Node(t, "n")})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer c.Close()
		cred, err := c.Registry(t.Context())
		if err != nil || cred.SigKey != r.Cred().SigKey {
			t.Errorf("%s: got %v, %v", name, cred, err)
		}
	}
}

func TestEverythingEndsWithTheTest(t *testing.T) {
	t.Parallel()
	var addrs []string
	t.Run("test", func(t *testing.T) {
		r := xlregtest.Start(t)
		addrs = append(addrs, string(r.Cred().Endpoints[0]))
		for _, m := range xlregtest.Cluster(t, 2, xlregtest.WithRegistry(r), xlregtest.WithEndpoints(2)) {
			addrs = append(addrs, m.Listeners[0].Addr().String(), m.Listeners[1].Addr().String())
		}
		for _, addr := range addrs {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	})
	for _, addr := range addrs {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s still listens", addr)
		}
	}
}

// Registries that run at once are told apart, and the keys of one that has ended serve
// another.
func TestKeysOfRegistries(t *testing.T) {
	var lent xlreg.SigKey
	t.Run("test", func(t *testing.T) {
		a, b := xlregtest.Start(t), xlregtest.Start(t)
		if lent = a.Cred().SigKey; lent == b.Cred().SigKey {
			t.Error("two registries have one key")
		}
	})
	for range 8 { // as many as other tests may have used before
		if xlregtest.Start(t).Cred().SigKey == lent {
			return
		}
	}
	t.Error("the keys are gone")
}

// What kind of keys there are can be chosen, and follows from the protocol.
func TestWithKeys(t *testing.T) {
	t.Parallel()
	classic := xlregtest.WithProtocols(xlreg.Protocol19)
	for name, c := range map[string]struct {
		node *identity.Node
		want keys.Kind
	}{
		"default":    {xlregtest.Node(t, "n"), keys.P256},
		"classic":    {xlregtest.Node(t, "n", classic), keys.RSA},
		"chosen":     {xlregtest.Node(t, "n", xlregtest.WithKeys(keys.RSA)), keys.RSA},
		"member":     {xlregtest.Cluster(t, 2)[0].Node(), keys.P256},
		"rsa member": {xlregtest.Cluster(t, 2, xlregtest.WithKeys(keys.RSA))[0].Node(), keys.RSA},
		"old member": {xlregtest.Cluster(t, 2, classic)[0].Node(), keys.RSA},
	} {
		if got := c.node.Keys().Sig.Public().Kind(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n, endpoints int
		opts         []xlregtest.Option
	}{
		{n: 2, endpoints: 1},
		{n: 5, endpoints: 3, opts: []xlregtest.Option{xlregtest.WithEndpoints(3), xlregtest.WithName("c.5")}},
		{n: 64, endpoints: 1},
	} {
		t.Run(fmt.Sprint(c.n), func(t *testing.T) {
			t.Parallel()
			members := xlregtest.Cluster(t, c.n, c.opts...)
			if len(members) != c.n {
				t.Fatalf("%d members", len(members))
			}
			for i, m := range members {
				if name := m.Self().Token.Name; string(name) != fmt.Sprintf("m%d", i) {
					t.Errorf("member %d is named %s", i, name)
				}
				checkMember(t, m, members, c.endpoints)
			}
			wantDistinctKeys(t, members)
		})
	}
}

// checkMember holds what m knows against what the others are.
func checkMember(t *testing.T, m *xlregtest.Membership, members []*xlregtest.Membership, endpoints int) {
	t.Helper()
	roster := m.Roster()
	if len(roster.Members) != len(members) || len(roster.Unverified()) > 0 || roster.Missing() > 0 {
		t.Errorf("%s knows %d members, has not verified %v", m.Node().Name(), len(roster.Members), roster.Unverified())
	}
	for _, other := range members {
		known := roster.ByName(other.Node().Name())
		if known == nil || known.Token.SigKey != other.Node().Keys().SigKey || known.Token.ID != other.Self().Token.ID {
			t.Fatalf("%s does not know %s", m.Node().Name(), other.Node().Name())
		}
		var addrs []xlreg.Endpoint
		for _, l := range other.Listeners {
			addrs = append(addrs, xlreg.Endpoint(l.Addr().String()))
		}
		if len(addrs) != endpoints || !slices.Equal(known.Token.Endpoints, addrs) {
			t.Errorf("%s has endpoints %v, is known to listen on %v", known.Token.Name, addrs, known.Token.Endpoints)
		}
	}
}

func wantDistinctKeys(t *testing.T, members []*xlregtest.Membership) {
	t.Helper()
	seen := make(map[string]xlreg.Name)
	for _, m := range members {
		for _, key := range []string{string(m.Node().Keys().SigKey), string(m.Node().Keys().CommsKey)} {
			if other, ok := seen[key]; ok {
				t.Errorf("%s and %s share a key", m.Node().Name(), other)
			}
			seen[key] = m.Node().Name()
		}
	}
}

// Members reach each other where their rosters say.
func TestListenersAreOpen(t *testing.T) {
	t.Parallel()
	members := xlregtest.Cluster(t, 3)
	var serving sync.WaitGroup
	for _, m := range members {
		serving.Go(func() {
			c, err := m.Listeners[0].Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			fmt.Fprint(c, m.Node().Name())
		})
	}
	for _, other := range members[0].Roster().Members {
		c, err := net.Dial("tcp", string(other.Token.Endpoints[0]))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		c.Close()
		if err != nil || string(got) != string(other.Token.Name) {
			t.Errorf("%s says %q, %v", other.Token.Name, got, err)
		}
	}
	serving.Wait()
}

// The members of a cluster speak TLS to each other and to nobody else.
func TestTLS(t *testing.T) {
	t.Parallel()
	members, others := xlregtest.Cluster(t, 3), xlregtest.Cluster(t, 2)
	connect := func(from, to *xlregtest.Membership) error {
		var serving sync.WaitGroup
		defer serving.Wait()
		serving.Go(func() {
			c, err := to.Listeners[0].Accept()
			if err != nil {
				t.Error(err)
				return
			}
			server := tls.Server(c, to.TLS)
			defer server.Close()
			fmt.Fprint(server, to.Node().Name())
		})
		c, err := tls.Dial("tcp", to.Listeners[0].Addr().String(), from.TLS)
		if err != nil {
			return err
		}
		defer c.Close()
		if said, err := io.ReadAll(c); err != nil || string(said) != string(to.Node().Name()) {
			return fmt.Errorf("%s says %q: %w", to.Node().Name(), said, err)
		}
		return nil
	}
	for _, m := range members {
		for _, other := range members {
			if err := connect(m, other); (err == nil) != (m != other) {
				t.Errorf("%s to %s: %v", m.Node().Name(), other.Node().Name(), err)
			}
		}
		if err := connect(m, others[0]); err == nil {
			t.Errorf("%s reached a member of another cluster", m.Node().Name())
		}
	}
}

func TestClustersAreDistinct(t *testing.T) {
	t.Parallel()
	r := xlregtest.Start(t)
	var all []*xlregtest.Membership
	names := make(map[xlreg.Name]bool)
	for range 3 {
		members := xlregtest.Cluster(t, 2, xlregtest.WithRegistry(r))
		names[members[0].Cluster().Name] = true
		all = append(all, members...)
	}
	if len(names) != 3 {
		t.Errorf("clusters %v", names)
	}
	wantDistinctKeys(t, append(all, xlregtest.Cluster(t, 2)...))
}

func TestManyTestsAtOnce(t *testing.T) {
	t.Parallel()
	r := xlregtest.Start(t)
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for _, members := range [][]*xlregtest.Membership{
				xlregtest.Cluster(t, 4),
				xlregtest.Cluster(t, 4, xlregtest.WithRegistry(r)),
			} {
				for _, m := range members {
					checkMember(t, m, members, 1)
				}
			}
		})
	}
}

func TestWithProtocols(t *testing.T) {
	t.Parallel()
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20} {
		members := xlregtest.Cluster(t, 2, xlregtest.WithProtocols(p))
		if unverified := members[0].Roster().Unverified(); len(unverified) == 0 != (p == xlreg.Protocol20) {
			t.Errorf("%v: unverified are %v", p, unverified)
		}
		if tls := members[0].TLS; (tls == nil) != p.Classic() {
			t.Errorf("%v: TLS is %v", p, tls)
		}
	}
	r := xlregtest.Start(t, xlregtest.WithProtocols(xlreg.Protocol19, xlreg.Protocol20))
	if unverified := xlregtest.Cluster(t, 2, xlregtest.WithRegistry(r))[1].Roster().Unverified(); len(unverified) > 0 {
		t.Errorf("unverified are %v", unverified)
	}
}

func TestWithLogger(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	t.Run("test", func(t *testing.T) { xlregtest.Cluster(t, 2, xlregtest.WithLogger(logger)) })
	if strings.Count(log.String(), "protocol=2.0") != 2 {
		t.Errorf("logged %s", &log)
	}
}

func TestWhatCannotBe(t *testing.T) {
	t.Parallel()
	r := xlregtest.Start(t)
	cluster := func(n int, opts ...xlregtest.Option) func(testing.TB) {
		return func(t testing.TB) { xlregtest.Cluster(t, n, opts...) }
	}
	for name, c := range map[string]struct {
		run  func(testing.TB)
		want string
	}{
		"one member":     {cluster(1), "cluster of 1: want 2 to 1024 members"},
		"1025 members":   {cluster(1025), "cluster of 1025: want 2 to 1024 members"},
		"65 old members": {cluster(65, xlregtest.WithProtocols(xlreg.Protocol18)), "cluster of 65: want 2 to 64 members"},
		"no endpoint":    {cluster(2, xlregtest.WithEndpoints(0)), "0 endpoints for each member: want 1 to 16"},
		"17 endpoints":   {cluster(2, xlregtest.WithEndpoints(17)), "17 endpoints for each member: want 1 to 16"},
		"two registries": {cluster(2, xlregtest.WithRegistry(r), xlregtest.WithProtocols(xlreg.Protocol20)), "WithRegistry brings one that runs"},
		"a bad name":     {cluster(2, xlregtest.WithName("a b")), `"a b" may hold`},
		"a bad node":     {func(t testing.TB) { xlregtest.Node(t, "a b") }, `"a b" may hold`},
		"not for Start":  {func(t testing.TB) { xlregtest.Start(t, xlregtest.WithName("c")) }, "an option is for Cluster"},
		"another size": {func(t testing.TB) {
			xlregtest.Cluster(t, 2, xlregtest.WithRegistry(r), xlregtest.WithName("c"))
			xlregtest.Cluster(t, 3, xlregtest.WithRegistry(r), xlregtest.WithName("c"))
		}, "made for 2 members, not 3"},
	} {
		if said := failure(t, c.run); !strings.Contains(said, c.want) {
			t.Errorf("%s: said %q, want %q", name, said, c.want)
		}
	}
}

// What is measured is every cluster but a process's first, for whose registry keys are
// made.
func BenchmarkCluster(b *testing.B) {
	for _, n := range []int{5, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				t, end := inTest()
				xlregtest.Cluster(t, n)
				end()
			}
		})
	}
}

// A hundred clusters of five in one test, whose registries all run until its end.
func BenchmarkHundredClusters(b *testing.B) {
	const clusters = 100
	for b.Loop() {
		t, end := inTest()
		for range clusters {
			xlregtest.Cluster(t, 5)
		}
		end()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/clusters, "ms/cluster")
}
