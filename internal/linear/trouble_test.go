package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
	"github.com/xlattice/xlreg/internal/store/storetest/line"
)

// troubled is the crowd for servers and databases that fail: each failure takes answers,
// and each of those could have been given or not, so there are fewer of them.
var troubled = crowd{worlds: 2, clients: 4, requests: 40}

// troubles is how many there are in one history.
const troubles = 3

// trouble is something that happens to a fleet. It is over when strike returns.
type trouble struct {
	name   string
	strike func(f *fleet, c *chance)
}

// chance is what a trouble leaves to chance.
type chance struct {
	*rand.Rand
	longest time.Duration
}

// elapse lets some time go by, most often little of it.
func (c *chance) elapse() {
	<-time.After(time.Duration(c.Float64() * c.Float64() * float64(c.longest)))
}

// suffer records a history of a fleet with troubles, one after the other.
func (f *fleet) suffer(k crowd, seed uint64, all []trouble) (*recorder, *target) {
	f.t.Helper()
	to := f.target()
	return suffer(f.t, to, f.awaitReady, k, seed, all, f), to
}

// suffer records a history of servers, which ready waits for at the end.
func suffer(t *testing.T, to *target, ready func(context.Context) error, k crowd, seed uint64, all []trouble, f *fleet) *recorder {
	t.Helper()
	rec, over := newRecorder(k.moments(seed)[:len(all)]...), make(chan struct{})
	to.dies, to.lasting = true, true
	to.settled = func(ctx context.Context) error {
		close(rec.trip) // nobody asks any more
		select {
		case <-over:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	asked := make(chan error, 1)
	go func() { asked <- k.run(t.Context(), to, rec, seed) }()
	c := &chance{rand.New(rand.NewPCG(seed, 4)), 1500 * time.Millisecond}
	if long() {
		c.longest = 8 * time.Second
	}
	for range rec.trip {
		t.Log(all[0].name)
		all[0].strike(f, c)
		all = all[1:]
	}
	err := ready(t.Context())
	close(over)
	if err := errors.Join(err, <-asked); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return rec
}

// ofServers are the troubles that there are with any database.
func ofServers() []trouble {
	return []trouble{
		{"a server is killed", func(f *fleet, c *chance) {
			i := c.IntN(servers)
			f.kill(i)
			c.elapse()
			f.start(i)
		}},
		{"a server ends in order", func(f *fleet, c *chance) {
			i := c.IntN(servers)
			f.end(i)
			c.elapse()
			f.start(i)
		}},
		{"all servers are killed", func(f *fleet, c *chance) {
			for i := range servers {
				f.kill(i)
			}
			for i := range servers {
				f.start(i)
			}
		}},
	}
}

// ofLines are those between servers and their database.
func ofLines(all [servers]lines) []trouble {
	return []trouble{
		{"a server is cut off", func(_ *fleet, c *chance) {
			cut := all[c.IntN(servers)]
			cut.each((*line.Line).Cut)
			c.elapse()
			cut.each((*line.Line).Mend)
		}},
		{"a server's database says nothing", func(_ *fleet, c *chance) {
			held := all[c.IntN(servers)]
			held.each((*line.Line).Hold)
			c.elapse()
			held.each((*line.Line).Release)
		}},
		{"all servers are cut off", func(_ *fleet, c *chance) {
			for _, cut := range all {
				cut.each((*line.Line).Cut)
			}
			c.elapse()
			for _, cut := range all {
				cut.each((*line.Line).Mend)
			}
		}},
	}
}

// ofEtcd are those of a cluster of etcd.
func ofEtcd(e *etcdtest.Cluster, all [servers]lines) []trouble {
	down := func(end, back func(*etcdtest.Member), members ...int) func(f *fleet, c *chance) {
		return func(_ *fleet, c *chance) {
			first := c.IntN(e.Members())
			for _, i := range members {
				end(e.Member((first + i) % e.Members()))
			}
			c.elapse()
			for _, i := range members {
				back(e.Member((first + i) % e.Members()))
			}
			e.WaitReady()
		}
	}
	kill, restart := (*etcdtest.Member).Kill, (*etcdtest.Member).Restart
	return []trouble{
		{"a member of etcd is killed", down(kill, restart, 0)},
		{"most of etcd is killed", down(kill, restart, 0, 1)},
		{"all of etcd is killed", down(kill, restart, 0, 1, 2)},
		{"a member of etcd hangs", down((*etcdtest.Member).Pause, (*etcdtest.Member).Resume, 0)},
		{"most of etcd hangs", down((*etcdtest.Member).Pause, (*etcdtest.Member).Resume, 0, 1)},
		{"the leader of etcd moves", func(*fleet, *chance) { e.MoveLeader() }},
		{"the leader of etcd and a server are killed", func(f *fleet, c *chance) {
			i, leader := c.IntN(servers), e.Member(e.Leader())
			leader.Kill()
			f.kill(i)
			c.elapse()
			leader.Restart()
			f.start(i)
			e.WaitReady()
		}},
		{"history is compacted that a server has not heard of", func(_ *fleet, c *chance) {
			held := all[c.IntN(servers)]
			held.each((*line.Line).Hold)
			c.elapse()
			e.Compact()
			held.each((*line.Line).Release)
		}},
	}
}

// ofPostgres are those of a PostgreSQL server.
func ofPostgres(s *postgrestest.Server) []trouble {
	down := func(end, back func(testing.TB)) func(f *fleet, c *chance) {
		return func(f *fleet, c *chance) {
			end(f.t)
			c.elapse()
			back(f.t)
		}
	}
	return []trouble{
		{"postgres is killed", down(s.Kill, s.Start)},
		{"postgres ends in order", down(s.Stop, s.Start)},
		{"postgres hangs", down(s.Pause, s.Resume)},
		{"postgres and a server are killed", func(f *fleet, c *chance) {
			i := c.IntN(servers)
			s.Kill(f.t)
			f.kill(i)
			c.elapse()
			s.Start(f.t)
			f.start(i)
		}},
	}
}

// TestServersInTrouble checks histories of clients that go through any of three servers
// while these and their database are killed, hang, and cannot reach each other.
func TestServersInTrouble(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		suffering(t, func(*testing.T, uint64) (opener, []trouble) {
			all := new(unreliable)
			db := mirrortest.New()
			return all.open(db), append(ofServers(), trouble{"feeds are lost", all.cut})
		})
	})
	t.Run("etcd", func(t *testing.T) {
		e := etcdtest.Start(t, etcdtest.Options{Members: 3, Fsync: true})
		all := newLines(t, e.Endpoints()...)
		suffering(t, func(*testing.T, uint64) (opener, []trouble) {
			in := space()
			return func(ctx context.Context, i int) (store.Store, error) {
				url := "etcd://" + strings.Join(all[i].addrs(), ",") + "/" + in
				return etcd.Open(ctx, url, etcd.Options{Timeout: storeTimeout})
			}, append(append(ofServers(), ofLines(all)...), ofEtcd(e, all)...)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		s := postgrestest.Start(t, postgrestest.Options{Durable: true})
		port := ":" + strconv.Itoa(s.Port)
		all := newLines(t, "127.0.0.1"+port)
		suffering(t, func(*testing.T, uint64) (opener, []trouble) {
			url := s.URL(space())
			return func(ctx context.Context, i int) (store.Store, error) {
				url := strings.Replace(url, "127.0.0.1"+port, all[i][0].Addr(), 1)
				return postgres.Open(ctx, url, postgres.Options{Timeout: storeTimeout})
			}, append(append(ofServers(), ofLines(all)...), ofPostgres(s)...)
		})
	})
}

// suffering checks histories with some troubles each: in the long form with each of them
// many times.
func suffering(t *testing.T, begin func(t *testing.T, seed uint64) (opener, []trouble)) {
	t.Helper()
	seed, n := firstSeed(t), new(counts)
	for i := range rounds(2, 25) {
		seed := seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			open, all := begin(t, seed)
			shuffled := rand.New(rand.NewPCG(seed-uint64(i), 5)).Perm(len(all)) // the same each time
			var some []trouble
			for j := range troubles {
				some = append(some, all[shuffled[(troubles*i+j)%len(all)]])
			}
			rec, to := newFleet(t, open).suffer(troubled, seed, some)
			n.add(rec)
			n.mustFit(t, rec, to.rules(), seed)
		})
	}
	n.check(t, []verb{register, logIn, create, join, get})
}

// unreliable is the connections of servers to a database in memory that now and then
// loses a request or an answer, and whose feeds can be cut.
type unreliable struct {
	mu    sync.Mutex
	conns [servers]*mirrortest.Server // guarded by mu
}

func (u *unreliable) open(db *mirrortest.Database) opener {
	return func(_ context.Context, i int) (store.Store, error) {
		d := newDice(rand.Uint64())
		conn := db.Connect(losing(d, late(d, 2*time.Millisecond)))
		u.mu.Lock()
		defer u.mu.Unlock()
		u.conns[i] = conn
		return mirror.Open(conn, mirror.Options{Limits: mirror.Limits{Compares: 128, Changes: 128}, Timeout: storeTimeout}), nil
	}
}

func (u *unreliable) cut(_ *fleet, c *chance) {
	for range 3 {
		u.mu.Lock()
		for i := range u.conns {
			u.conns[i].Cut()
		}
		u.mu.Unlock()
		c.elapse()
	}
}

var errLost = errors.New("it is lost")

// losing makes faults that lose requests and answers, too.
func losing(d *dice, f mirrortest.Faults) mirrortest.Faults {
	request, answer := f.Request, f.Answer
	f.Request = func(ctx context.Context, t *mirror.Txn) error {
		if d.oneIn(50) {
			return errLost
		}
		return request(ctx, t)
	}
	f.Answer = func(ctx context.Context, t *mirror.Txn, a *mirror.Answer) error {
		switch {
		case !d.oneIn(50):
			return answer(ctx, t, a)
		case len(t.Changes) > 0:
			return fmt.Errorf("%w: %w", store.ErrUnknown, errLost)
		}
		return errLost
	}
	return f
}

// lines are all that lead from one server to its database.
type lines []*line.Line

// newLines returns those of each server to each of the addresses.
func newLines(t *testing.T, to ...string) [servers]lines {
	t.Helper()
	var all [servers]lines
	for i := range all {
		for _, addr := range to {
			all[i] = append(all[i], line.New(t, addr))
		}
	}
	return all
}

func (l lines) addrs() []string {
	all := make([]string, len(l))
	for i := range l {
		all[i] = l[i].Addr()
	}
	return all
}

func (l lines) each(do func(*line.Line)) {
	for _, one := range l {
		do(one)
	}
}
