package client_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// Three programs become a cluster: each knows the name of the cluster, its size,
// and how to find the registry, and nothing of the others.
func ExampleForm() {
	target, stop := exampleRegistry()
	defer stop()

	member := func(name string) (*client.Membership, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // a real program serves on it
		node, err := identity.NewNode(identity.Options{Name: xlreg.Name(name)})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return client.Form(ctx, target, client.FormOptions{
			Options:   client.Options{Node: node},
			Cluster:   xlreg.ClusterRef{Name: "demo"},
			Size:      3,
			Listeners: []net.Listener{listener},
		})
	}

	var all sync.WaitGroup
	for _, name := range []string{"alice", "bob", "carol"} {
		all.Go(func() {
			m, err := member(name)
			if err != nil {
				log.Print(err)
				return
			}
			if name == "bob" {
				alice := m.Roster().ByName("alice")
				fmt.Printf("bob is one of %d in %q\n", len(m.Roster().Members), m.Cluster().Name)
				fmt.Printf("alice has %d endpoint, verified: %v\n", len(alice.Token.Endpoints), alice.Verified)
			}
		})
	}
	all.Wait()

	// Output:
	// bob is one of 3 in "demo"
	// alice has 1 endpoint, verified: true
}

// exampleRegistry stands for a registry that somebody runs. Its address and
// fingerprint are all that a member needs; with xlreg serve they come as one
// line, for regcred.ParseURL.
func exampleRegistry() (target *regcred.Target, stop func()) {
	r, err := serve("127.0.0.1:0", memory.New())
	if err != nil {
		log.Fatal(err)
	}
	fingerprint, err := keys.Fingerprint(r.cred.SigKey)
	if err != nil {
		log.Fatal(err)
	}
	return &regcred.Target{Endpoints: r.cred.Endpoints, Fingerprint: fingerprint}, func() { _ = r.stop() }
}
