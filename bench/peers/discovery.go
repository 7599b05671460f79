package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"github.com/siderolabs/discovery-service/pkg/limits"
	"github.com/siderolabs/discovery-service/pkg/service"
	_ "github.com/siderolabs/proto-codec/codec" // as the service's own program does
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/xlattice/xlreg/internal/freeport"
)

// discoverySystems are siderolabs' discovery service. It limits the requests of
// an address, to what cannot be set, so it matters whether members share one.
func discoverySystems() []system {
	const carrier = "plaintext, nobody"
	return []system{
		{"discovery-service, one address", "memory", carrier, serveDiscovery, discoveryFrom(oneAddress)},
		{"discovery-service, an address each", "memory", carrier, serveDiscovery, discoveryFrom(addressEach)},
	}
}

// serveDiscovery starts a server with what its program has by default, but
// without snapshots, pages for people, and a log of every request.
func serveDiscovery(ctx context.Context, _ string) (server, error) {
	port, err := freeport.Take() // the service does not say which port it got when it may choose
	if err != nil {
		return server{}, err
	}
	where := port.Address()
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { // close waits for it
		ended <- service.Run(ctx, service.Options{ListenAddr: where, GCInterval: time.Minute}, zap.NewNop())
	}()
	s := server{where: where, close: func() error {
		stop()
		return errors.Join(<-ended, port.Close())
	}}
	if err := awaitListener(ctx, where); err != nil {
		return server{}, fmt.Errorf("start discovery-service: %w", errors.Join(err, s.close()))
	}
	return s, nil
}

// pollPause is how long to wait before asking again whether a server is up.
const pollPause = 5 * time.Millisecond

func awaitListener(ctx context.Context, where string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", where)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// addresses says which address member i of a formation comes from.
type addresses func(formation uint16, i int) netip.Addr

// oneAddress is the same for all members, and another in each formation, so that
// none pays for the requests of the one before.
func oneAddress(formation uint16, _ int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(formation >> 8), byte(formation)})
}

func addressEach(formation uint16, i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(2 + i), byte(formation >> 8), byte(formation)})
}

func discoveryFrom(from addresses) former {
	var formations atomic.Uint32
	return func(ctx context.Context, where, cluster string, n int) (cost, error) {
		formation := uint16(formations.Add(1))
		own := func(i int) netip.Addr { return from(formation, i) }
		return formAll(ctx, n, discoveryMember(where, cluster, n, own))
	}
}

// discoveryMember tells of itself and watches until it has seen everybody, which
// is the least that will do: the service's own client also says Hello.
func discoveryMember(where, cluster string, n int, own func(i int) netip.Addr) member {
	return func(ctx context.Context, i int) (io.Closer, error) {
		conn, err := grpc.NewClient("passthrough:///"+where,
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dialFrom(own(i))))
		if err != nil {
			return nil, err
		}
		return conn, learnDiscovery(ctx, pb.NewClusterClient(conn), cluster, i, n)
	}
}

func dialFrom(addr netip.Addr) func(context.Context, string) (net.Conn, error) {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))}
	return func(ctx context.Context, where string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", where)
	}
}

func learnDiscovery(ctx context.Context, c pb.ClusterClient, cluster string, i, n int) error {
	_, err := c.AffiliateUpdate(ctx, &pb.AffiliateUpdateRequest{
		ClusterId: cluster, AffiliateId: memberName(i), AffiliateData: []byte(memberEndpoint(i)),
		Ttl: durationpb.New(limits.TTLMax),
	})
	if err != nil {
		return err
	}
	seen := make(map[string]bool, n)
	for {
		// A watch that falls behind is ended, and begins anew with all there are.
		if err := watchDiscovery(ctx, c, cluster, seen, n); status.Code(err) != codes.Aborted {
			return err
		}
	}
}

func watchDiscovery(ctx context.Context, c pb.ClusterClient, cluster string, seen map[string]bool, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := c.Watch(ctx, &pb.WatchRequest{ClusterId: cluster})
	for err == nil && len(seen) < n {
		var update *pb.WatchResponse
		if update, err = watch.Recv(); err != nil {
			break
		}
		for _, a := range update.GetAffiliates() {
			seen[a.GetId()] = true
		}
	}
	return err
}
