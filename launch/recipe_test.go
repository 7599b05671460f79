package launch

import (
	"strings"
	"testing"
)

func TestTalkTo(t *testing.T) {
	d := Sample(Shape{Size: 3, Endpoints: 2})
	d.Dir = "/it's here"
	for program, want := range map[string]string{
		"etcd": `etcdctl --endpoints https://192.0.2.1:1025 \
    --cacert '/it'\''s here/peers.pem' \
    --cert '/it'\''s here/cert.pem' \
    --key '/it'\''s here/key.pem' \
    member list`,
		"/usr/sbin/nats-server": `nats --server tls://192.0.2.1:1025 \
    --tlsca '/it'\''s here/peers.pem' \
    --tlscert '/it'\''s here/cert.pem' \
    --tlskey '/it'\''s here/key.pem' \
    rtt`,
	} {
		if got, known := d.TalkTo(program); !known || got != want {
			t.Errorf("%s: %v, %s", program, known, got)
		}
	}
	if got, known := d.TalkTo("sh"); known {
		t.Errorf("sh: %s", got)
	}
	if got, known := Sample(Shape{Endpoints: 1}).TalkTo("etcd"); known {
		t.Errorf("one endpoint: %s", got)
	}
}

// Where a member listens is not where it is found, if that was said.
func TestListenOn(t *testing.T) {
	d := Sample(Shape{Size: 2, Endpoints: 3})
	d.Self.Endpoints = []Endpoint{"host.example:1", "host.example:2", "192.0.2.1:3"}
	d.Listen = []Endpoint{"10.0.0.7:4"}
	for n, want := range []Endpoint{"10.0.0.7:4", "0.0.0.0:2", "192.0.2.1:3"} {
		if got, err := d.ListenOn(n); err != nil || got != want {
			t.Errorf("%d: %s, %v; want %s", n, got, err, want)
		}
	}
	if _, err := d.ListenOn(3); err == nil {
		t.Error("there is no endpoint 3")
	}
	for _, format := range []string{"etcd", "nats"} {
		text, err := d.Format(format)
		if err != nil || !strings.Contains(text, "10.0.0.7:4") || !strings.Contains(text, "0.0.0.0:2") || !strings.Contains(text, "host.example:1") {
			t.Errorf("%s: %v\n%s", format, err, text)
		}
	}
	d.Self = nil
	if _, err := d.ListenOn(0); err == nil {
		t.Error("a reader listens nowhere")
	}
}
