package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

// How many work at once.
const (
	Clients = 16 // sessions at once, so that the server does not pay for falling asleep
	Readers = 4  // the same of those that read over open sessions
)

// Load is somebody who works with a registry, over one carrier.
type Load struct {
	*Registry
	Process  *Process // of that registry; nil if it is somebody else's
	Protocol xlreg.Protocol
	Nodes    []*identity.Node
}

// Sample is what one measurement found. What is not known is negative.
type Sample struct {
	Took      time.Duration   // all operations, of which some were made at once
	Latencies []time.Duration // of each operation
	Server    time.Duration   // processor time of the server for all of them
	Client    time.Duration   // and of this process
	Memory    int64           // bytes that each has the server hold
}

// measure runs f, which makes operations, and takes down what it costs.
func (l *Load) measure(f func() ([]time.Duration, error)) (s Sample, err error) {
	server, err := l.serverTime()
	if err != nil {
		return s, err
	}
	client, err := known(processorTime())
	if err != nil {
		return s, err
	}
	begun := time.Now()
	if s.Latencies, err = f(); err != nil {
		return s, err
	}
	s.Took, s.Memory = time.Since(begun), unknown
	if s.Client, err = known(processorTime()); err != nil {
		return s, err
	}
	if s.Server, err = l.serverTime(); err != nil {
		return s, err
	}
	s.Client, s.Server = since(client, s.Client), since(server, s.Server)
	return s, nil
}

func (l *Load) serverTime() (time.Duration, error) {
	if l.Process == nil {
		return unknown, nil
	}
	return known(l.Process.CPU())
}

// known makes what the system does not tell an unknown figure.
func known[T time.Duration | int64](v T, err error) (T, error) {
	if errors.Is(err, errors.ErrUnsupported) {
		return unknown, nil
	}
	return v, err
}

func since(begun, ended time.Duration) time.Duration {
	if begun < 0 || ended < 0 {
		return unknown
	}
	return ended - begun
}

// timed calls f n times, some at once, and returns how long each took.
func timed(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	err := each(ctx, n, limit, func(ctx context.Context, i int) error {
		begun := time.Now()
		err := f(ctx, i)
		took[i] = time.Since(begun)
		return err
	})
	return took, err
}

// Form lets all nodes form a new cluster, which is one operation, and verify it.
func (l *Load) Form(ctx context.Context, cluster xlreg.Name) (Sample, error) {
	f := Formation{Registry: l.Registry, Nodes: l.Nodes, Protocol: l.Protocol, Cluster: cluster}
	return l.measure(func() ([]time.Duration, error) {
		took, err := f.Verify(ctx)
		return []time.Duration{took}, err
	})
}

// Sessions makes n sessions, each with a handshake, Member and Bye.
func (l *Load) Sessions(ctx context.Context, n int) (Sample, error) {
	return l.measure(func() ([]time.Duration, error) {
		return timed(ctx, n, Clients, func(ctx context.Context, i int) error {
			node := l.Nodes[i%len(l.Nodes)]
			return l.session(ctx, l.Protocol, node, func(session.Conn) error { return nil })
		})
	})
}

// Members reads the members of a cluster n times, over open sessions. The cluster
// has all the nodes as members. What is read is not verified.
func (l *Load) Members(ctx context.Context, cluster xlreg.Name, n int) (s Sample, err error) {
	conns, err := l.connectAll(ctx, Readers)
	defer closeAll(conns)
	if err != nil {
		return s, err
	}
	request := wire.GetRequest{Ref: xlreg.ClusterRef{Name: cluster}}
	return l.measure(func() ([]time.Duration, error) {
		took := make([]time.Duration, n)
		err := each(ctx, Readers, 0, func(ctx context.Context, reader int) error {
			for i := reader; i < n; i += Readers {
				begun := time.Now()
				if err := readAll(ctx, conns[reader], request, len(l.Nodes)); err != nil {
					return err
				}
				took[i] = time.Since(begun)
			}
			return nil
		})
		return took, err
	})
}

// Fill forms the cluster that Members reads.
func (l *Load) Fill(ctx context.Context, cluster xlreg.Name) error {
	f := Formation{Registry: l.Registry, Nodes: l.Nodes, Protocol: l.Protocol, Cluster: cluster}
	_, err := f.Receive(ctx)
	return err
}

// Leave makes all nodes leave a cluster, so that it holds nobody's tokens any longer.
// Over a classic carrier nobody can.
func (l *Load) Leave(ctx context.Context, cluster xlreg.Name) error {
	if l.Protocol.Classic() {
		return nil
	}
	return each(ctx, len(l.Nodes), Clients, func(ctx context.Context, i int) error {
		return l.session(ctx, l.Protocol, l.Nodes[i], func(conn session.Conn) error {
			_, err := ask(ctx, conn, wire.NewLeave(xlreg.ClusterRef{Name: cluster}))
			return err
		})
	})
}

// connectAll opens n sessions in which a node has registered. If it fails it
// returns those that are open.
func (l *Load) connectAll(ctx context.Context, n int) ([]session.Conn, error) {
	var conns []session.Conn
	for i := range n {
		node := l.Nodes[i%len(l.Nodes)]
		conn, err := l.Connect(ctx, l.Protocol, node)
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
		if err := l.register(ctx, conn, node); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

func closeAll(conns []session.Conn) {
	for _, conn := range conns {
		if conn != nil {
			conn.Close()
		}
	}
}

// Joins makes sessions in which the nodes join new clusters, all of which all of
// them join: each session has a handshake, Member, Join, a Get that waits for all,
// and Bye. The clusters are named after name, and made before.
func (l *Load) Joins(ctx context.Context, name xlreg.Name, clusters int) (Sample, error) {
	size := len(l.Nodes)
	for i := range clusters {
		if err := l.Create(ctx, l.Protocol, l.Nodes[0], numbered(name, i), size); err != nil {
			return Sample{}, err
		}
	}
	return l.measure(func() ([]time.Duration, error) {
		return timed(ctx, clusters*size, size, func(ctx context.Context, i int) error {
			ref := xlreg.ClusterRef{Name: numbered(name, i/size)}
			return l.session(ctx, l.Protocol, l.Nodes[i%size], func(conn session.Conn) error {
				return joinAndWait(ctx, conn, ref, size)
			})
		})
	})
}

func numbered(name xlreg.Name, i int) xlreg.Name { return xlreg.Name(fmt.Sprintf("%s-%d", name, i)) }
