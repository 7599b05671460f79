package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func TestOpenSessionsByPage(t *testing.T) {
	var open openSessions
	var all []*openSession
	for i := range 100 {
		all = append(all, open.enter(&net.TCPAddr{Port: i}, time.Now()))
	}
	all = slices.DeleteFunc(all, func(s *openSession) bool {
		gone := rand.IntN(3) == 0
		if gone {
			open.leave(s)
		}
		return gone
	})
	for limit := 1; limit <= 101; limit += 9 {
		var listed []*openSession
		for last, more := uint64(0), true; more; last = listed[len(listed)-1].id {
			var page []*openSession
			if page, more = open.after(last, limit); len(page) > limit || more && len(page) < limit {
				t.Fatalf("a page of %d has %d, more: %v", limit, len(page), more)
			}
			listed = append(listed, page...)
		}
		if !slices.Equal(listed, all) {
			t.Fatalf("by %d: %d sessions of %d", limit, len(listed), len(all))
		}
	}
	if page, more := open.after(all[len(all)-1].id, 10); len(page) != 0 || more {
		t.Error("there are more after the last")
	}
}

// A session is looked at while it goes on.
func TestOpenSessionShows(t *testing.T) {
	var open openSessions
	s := open.enter(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}, time.Now())
	if shown := s.show(); shown.From != "192.0.2.1:7" || shown.Protocol != 0 || shown.Node != "" || shown.Waits != "" || shown.ID != 1 {
		t.Errorf("a new session is %+v", shown)
	}
	var going sync.WaitGroup
	going.Go(func() {
		s.known(xlreg.Protocol20)
		s.identified("node")
		for i := range 1000 {
			s.requests.Add(1)
			id := xlreg.ClusterID(fmt.Sprint(i))
			s.waitsFor(&id)()
		}
	})
	for range 1000 {
		s.show()
	}
	going.Wait()
	if shown := s.show(); shown.Protocol != xlreg.Protocol20 || shown.Node != "node" || shown.Waits != "" || shown.Requests != 1000 {
		t.Errorf("in the end it is %+v", shown)
	}
}
