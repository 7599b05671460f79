package client_test

import (
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

func TestFormOptionsThatMakeNoSense(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	node := newNode(t, "n")
	for name, change := range map[string]func(*client.FormOptions){
		"nobody":          func(o *client.FormOptions) { o.Node = nil },
		"no size":         func(o *client.FormOptions) { o.Size = 0 },
		"size 1025":       func(o *client.FormOptions) { o.Size = 1025 },
		"size 65":         func(o *client.FormOptions) { o.Protocol, o.Size = xlreg.Protocol19, 65 },
		"lease, classic":  func(o *client.FormOptions) { o.Protocol, o.Lease = xlreg.Protocol19, time.Second },
		"fresh, classic":  func(o *client.FormOptions) { o.Protocol, o.Fresh = xlreg.Protocol19, true },
		"fresh, no wait":  func(o *client.FormOptions) { o.Fresh, o.NoWait = true, true },
		"negative lease":  func(o *client.FormOptions) { o.Lease = -1 },
		"long run":        func(o *client.FormOptions) { o.Run = xlreg.Run(strings.Repeat("r", 33)) },
		"label":           func(o *client.FormOptions) { o.Labels = map[string]string{"no name": ""} },
		"name":            func(o *client.FormOptions) { o.Cluster.Name = "no name" },
		"join nothing":    func(o *client.FormOptions) { o.Cluster, o.JoinOnly = xlreg.ClusterRef{}, true },
		"unique, classic": func(o *client.FormOptions) { o.Protocol, o.Attrs = xlreg.Protocol19, xlreg.ClusterUnique },
		"few endpoints":   func(o *client.FormOptions) { o.EndpointCount = 2 },
		"many endpoints":  func(o *client.FormOptions) { o.EndpointCount = 17 },
	} {
		o := f.formOptions(node)
		change(&o)
		if _, err := client.Form(t.Context(), f.target(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if f.dialled != 0 {
		t.Fatalf("dialled %d times", f.dialled)
	}
}
