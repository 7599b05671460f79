package etcdtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// WaitReady waits until all members that run answer, which takes a leader.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	for _, m := range c.members {
		select {
		case <-m.exited:
			continue
		default:
			c.waitFor("answer of "+m.endpoint, func(ctx context.Context) error {
				select {
				case <-m.exited:
					c.t.Fatalf("etcd has ended:\n%s", m.Log())
				default:
				}
				client := c.dial([]string{m.endpoint}, "", "")
				defer client.Close()
				_, err := client.Get(ctx, "ready")
				return err
			})
		}
	}
}

// waitFor tries until it works.
func (c *Cluster) waitFor(what string, try func(context.Context) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		once, end := context.WithTimeout(ctx, time.Second)
		err := try(once)
		end()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("no %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Leader returns which member leads.
func (c *Cluster) Leader() int {
	c.t.Helper()
	leader := -1
	c.waitFor("leader", func(ctx context.Context) error {
		var errs error
		for i, m := range c.members {
			status, err := c.Client().Status(ctx, m.endpoint)
			if err == nil && status.Leader == status.Header.GetMemberId() {
				leader = i
				return nil
			}
			errs = errors.Join(errs, err)
		}
		return errors.Join(errors.New("nobody leads"), errs)
	})
	return leader
}

// MoveLeader makes another member the leader, and returns which one.
func (c *Cluster) MoveLeader() int {
	c.t.Helper()
	next := 0
	c.waitFor("new leader", func(ctx context.Context) error {
		from := c.Leader()
		next = (from + 1) % len(c.members)
		status, err := c.Client().Status(ctx, c.members[next].endpoint)
		if err != nil {
			return err
		}
		leader := c.dial([]string{c.members[from].endpoint}, "", "")
		defer leader.Close()
		_, err = leader.MoveLeader(ctx, status.Header.GetMemberId())
		return err
	})
	return next
}

// Revision returns the present revision.
func (c *Cluster) Revision() int64 {
	c.t.Helper()
	var revision int64
	c.waitFor("revision", func(ctx context.Context) error {
		resp, err := c.Client().Get(ctx, "ready")
		if err == nil {
			revision = resp.Header.GetRevision()
		}
		return err
	})
	return revision
}

// Compact forgets all history up to now.
func (c *Cluster) Compact() {
	c.t.Helper()
	revision := c.Revision()
	c.waitFor("compaction", func(ctx context.Context) error {
		_, err := c.Client().Compact(ctx, revision, clientv3.WithCompactPhysical())
		return err
	})
}

func (o *Options) tls() (*tls.Config, error) {
	if o.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", o.CA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}}, nil
}
