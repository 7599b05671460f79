package host_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/regcred"
)

// closing counts how often a store is closed.
type closing struct {
	store.Store
	closed int
}

func (c *closing) Close() error {
	c.closed++
	return c.Store.Close()
}

func TestStart(t *testing.T) {
	data := &closing{Store: memory.New()}
	r, err := host.Start(host.Config{Node: newNode(t, "xlReg"), Store: data})
	if err != nil {
		t.Fatal(err)
	}
	at, err := netip.ParseAddrPort(string(r.Cred().Endpoints[0]))
	if err != nil || !at.Addr().IsLoopback() || at.Port() == 0 {
		t.Errorf("the registry is at %v, %v", at, err)
	}
	target, err := regcred.NewTarget(r.Cred())
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), target, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if data.closed != 1 {
		t.Errorf("the store was closed %d times", data.closed)
	}
	if _, err := c.Registry(t.Context()); !errors.Is(err, client.ErrSessionEnded) {
		t.Errorf("a session after the end: %v", err)
	}
}

// A registry that cannot start leaves no store open, as nobody is left to close it.
func TestStartFails(t *testing.T) {
	data := &closing{Store: memory.New()}
	cfg := host.Config{Node: newNode(t, "xlReg"), Store: data, Listen: []string{"192.0.2.1:0"}}
	if _, err := host.Start(cfg); err == nil {
		t.Error("started at an address that this machine does not have")
	}
	if data.closed != 1 {
		t.Errorf("the store was closed %d times", data.closed)
	}
}
