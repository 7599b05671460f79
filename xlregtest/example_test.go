package xlregtest_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

// Five members in one line. In a real test t is the *testing.T.
func ExampleCluster() {
	t, end := inTest()
	defer end()

	members := xlregtest.Cluster(t, 5)

	m3 := members[0].Roster().ByName("m3")
	fmt.Println("members:", len(members))
	fmt.Println("m0 has verified m3:", m3.Verified)
	fmt.Println("m3 listens where m0 looks:", members[3].Listeners[0].Addr().String() == string(m3.Token.Endpoints[0]))
	// Output:
	// members: 5
	// m0 has verified m3: true
	// m3 listens where m0 looks: true
}

// Each member has what mutual TLS with the others takes, here over HTTP.
func ExampleMember() {
	t, end := inTest()
	defer end()

	members := xlregtest.Cluster(t, 2)
	m0, m1 := members[0], members[1]

	server := &http.Server{
		TLSConfig: m0.TLS,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from := m0.Roster().ByCertificate(r.TLS.PeerCertificates[0])
			fmt.Fprintf(w, "hello %s", from.Token.Name)
		}),
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeTLS(m0.Listeners[0], "", "") })
	defer serving.Wait()
	defer server.Close()

	transport := &http.Transport{TLSClientConfig: m1.TLS}
	defer transport.CloseIdleConnections()
	asM1 := &http.Client{Transport: transport}
	resp, err := asM1.Get("https://" + m0.Listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	fmt.Println(string(said), err)
	// Output:
	// hello m1 <nil>
}

// A program that is to be tested finds the registry by a line in its environment,
// and does not know that it is a test's.
func ExampleStart() {
	t, end := inTest()
	defer end()

	r := xlregtest.Start(t)
	t.Setenv("XLREG_REGISTRY", r.URL())

	target, err := regcred.Load(os.Getenv("XLREG_REGISTRY"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), target, client.Options{Node: xlregtest.Node(t, "alice")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	id, err := c.Register(t.Context())
	fmt.Println("alice has an ID:", len(id) > 0, err)
	// Output:
	// alice has an ID: true <nil>
}

// A test that calls client.Form itself, since that is what it is about, needs nodes
// with keys and nothing more.
func ExampleNode() {
	t, end := inTest()
	defer end()

	r := xlregtest.Start(t)
	var members sync.WaitGroup
	for i, name := range []xlreg.Name{"alice", "bob"} {
		node := xlregtest.Node(t, name)
		members.Go(func() {
			m, err := client.Form(t.Context(), r.Target(), client.FormOptions{
				Options:   client.Options{Node: node},
				Cluster:   xlreg.ClusterRef{Name: "pair"},
				Size:      2,
				Advertise: []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("192.0.2.%d:4000", i+1))},
			})
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			if name == "bob" {
				fmt.Println("bob finds alice at", m.Roster().ByName("alice").Token.Endpoints[0])
			}
		})
	}
	members.Wait()
	// Output:
	// bob finds alice at 192.0.2.1:4000
}

// Two clusters in one registry, which are told apart by name.
func ExampleWithRegistry() {
	t, end := inTest()
	defer end()

	r := xlregtest.Start(t)
	web := xlregtest.Cluster(t, 3, xlregtest.WithRegistry(r), xlregtest.WithName("web"))
	db := xlregtest.Cluster(t, 2, xlregtest.WithRegistry(r), xlregtest.WithName("db"))
	fmt.Println(web[0].Cluster().Name, len(web), db[0].Cluster().Name, len(db))
	// Output:
	// web 3 db 2
}
