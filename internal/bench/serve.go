package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/audit"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/metrics"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// The stores that a registry under measurement may have, besides those that URLs name.
const (
	Memory = "memory"
	Bbolt  = "bbolt"
)

// Observed stands before the name of a store if all that the registry does is to be
// counted and recorded, too, as 'xlreg serve --audit-log' does.
const Observed = "observed-"

// The files in the directory of a registry under measurement.
const (
	nodeDir  = "node"
	credFile = "regCred.dat"
	dataFile = "xlreg.db"
	logFile  = "audit.log"
)

// What a server process is asked, a line each; the answer is a line with a number.
const (
	askReady   = "ready"       // 0, once it serves
	askCPU     = "cpu"         // nanoseconds of processor time so far
	askCollect = "collections" // of garbage so far
	askMemory  = "memory"      // bytes of anonymous resident memory after a collection
	askWaiting = "waiting"     // GetCluster requests so far
	askParked  = "parked"      // clients that wait now
	askDecrypt = "decrypt"     // of "decrypt N": N, once it has made so many RSA decryptions

	askFollow = "follow" // of "follow N M": N follow M changes a second, from now on

	askSessions  = "sessions"  // begun so far
	askWrites    = "writes"    // transactions with changes so far; unknown of a store of its own
	askConflicts = "conflicts" // those of them that did not hold
	askLooks     = "looks"     // comparisons without changes
)

// unknown is the answer where the system does not tell.
const unknown = -1

// Serve is the main function of a server process. Its arguments are those that
// Start gives it: the store and the directory. It serves, answers the questions
// that come from in, and ends with them.
func Serve(args []string, in io.Reader, out io.Writer) (err error) {
	if len(args) != 2 {
		return errors.New("want a store and a directory")
	}
	kind, observed := strings.CutPrefix(args[0], Observed)
	st, err := openStore(kind, args[1])
	if err != nil {
		return err
	}
	node, err := identity.OpenRegistry(filepath.Join(args[1], nodeDir))
	if err != nil {
		return errors.Join(err, st.Close())
	}
	defer node.Close()
	cfg := host.Config{Node: node, Store: st, Limits: generous(), OwnProcess: true}
	if observed {
		done, err := observe(&cfg, args[1])
		if err != nil {
			return errors.Join(err, st.Close())
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	running, err := host.Start(cfg)
	if err != nil {
		return err
	}
	r := &respondent{host: running.Host, key: node.Keys().Comms, store: st}
	defer func() { err = errors.Join(err, running.Close()) }()
	defer r.unfollow()
	if err := regcred.Write(filepath.Join(args[1], credFile), running.Cred()); err != nil {
		return err
	}
	return r.answerAll(in, out)
}

// observe has a registry counted and recorded, until done is called.
func observe(cfg *host.Config, dir string) (done func() error, err error) {
	record, err := audit.Open(filepath.Join(dir, logFile), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	counts := metrics.New("bench")
	cfg.ObserveStore = counts.ObserveStore
	cfg.Observe = func(e registry.Event) {
		counts.Observe(e)
		record.Observe(e)
	}
	return record.Close, nil
}

func openStore(kind, dir string) (store.Store, error) {
	scheme, _, _ := strings.Cut(kind, "://")
	switch scheme {
	case Memory:
		return memory.New(), nil
	case Bbolt:
		return bolt.Open(filepath.Join(dir, dataFile), bolt.Options{})
	case "etcd":
		return etcd.Open(context.Background(), kind, etcd.Options{})
	case "postgres":
		return postgres.Open(context.Background(), kind, postgres.Options{})
	default:
		return nil, fmt.Errorf("store %q: want %s, %s or a URL of etcd or PostgreSQL", scheme, Memory, Bbolt)
	}
}

// MostConnections is how many a registry that is measured takes at once.
const MostConnections = 16000

// generous are limits that no measurement meets: they are not what is measured. As
// many connections as by default are prepared for, for the sake of their memory.
func generous() guard.Limits {
	all := guard.DefaultLimits().Connections
	return guard.Limits{
		Connections: all, ConnectionsLoopback: all, LoopbackPerMinute: 1 << 30,
		Hello: time.Minute, CrowdedHello: time.Minute, Idle: time.Hour,
	}
}

// respondent answers what a server process is asked.
type respondent struct {
	host  *host.Host
	key   keys.Private
	store store.Store

	changing  []records.Cluster // that followers are told of; nil: there have been no followers
	followers *followers        // nil: there are none
}

func (r *respondent) answerAll(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		n, err := r.answer(lines.Text())
		if errors.Is(err, errors.ErrUnsupported) {
			n, err = unknown, nil
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (r *respondent) answer(line string) (int64, error) {
	verb, count, _ := strings.Cut(line, " ")
	switch verb {
	case askReady:
		return 0, nil
	case askCPU:
		d, err := processorTime()
		return int64(d), err
	case askCollect:
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.NumGC), nil
	case askMemory:
		debug.FreeOSMemory()
		return anonymousMemory()
	case askWaiting:
		return int64(r.host.Stats().Requests[wire.OpGetCluster]), nil
	case askParked:
		return int64(r.host.Stats().Waiting), nil
	case askSessions:
		return r.sessions(), nil
	case askWrites, askConflicts, askLooks:
		return r.count(verb)
	case askDecrypt:
		n, err := strconv.Atoi(count)
		if err != nil {
			return 0, err
		}
		return int64(n), decrypt(r.key, n)
	case askFollow:
		return 0, r.follow(count)
	default:
		return 0, fmt.Errorf("unknown question %q", line)
	}
}

// follow puts as many followers in the place of those that there were.
func (r *respondent) follow(counts string) error {
	var n, rate int
	if _, err := fmt.Sscan(counts, &n, &rate); err != nil {
		return err
	}
	r.unfollow()
	var err error
	if r.changing == nil {
		r.changing, err = putChanging(r.store)
	}
	if rate > 0 && err == nil {
		r.followers = follow(r.host, r.store, r.changing, n, rate)
	}
	return err
}

func (r *respondent) unfollow() {
	if r.followers != nil {
		r.followers.close()
		r.followers = nil
	}
}

func (r *respondent) sessions() (all int64) {
	for _, n := range r.host.Stats().Sessions {
		all += int64(n)
	}
	return all
}

// count returns what a store that is shared with others has asked of its database.
func (r *respondent) count(what string) (int64, error) {
	shared, ok := r.store.(*mirror.Store)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	c := shared.Counts()
	switch what {
	case askWrites:
		return c.Writes, nil
	case askConflicts:
		return c.Conflicts, nil
	default:
		return c.Looks, nil
	}
}

// PrivateOperation returns how long one RSA private operation takes on this machine:
// what most costs of a registry can be held against.
func PrivateOperation(key keys.Private) (time.Duration, error) {
	took := make([]time.Duration, 101)
	for i := range took {
		begun := time.Now()
		if err := decrypt(key, 1); err != nil {
			return 0, err
		}
		took[i] = time.Since(begun)
	}
	return Median(took), nil
}

// decrypt makes n private operations of the key, on as many processors as sessions
// have theirs made on: side by side each takes longer than alone.
func decrypt(key keys.Private, n int) error {
	public, canEncrypt := key.Public().(keys.Encrypter)
	private, canDecrypt := key.(keys.Decrypter)
	if !canEncrypt || !canDecrypt {
		return fmt.Errorf("%s key: cannot decrypt", key.Public().Kind())
	}
	ciphertext, err := public.Encrypt(make([]byte, 32))
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for range n {
		group.Go(func() error {
			_, err := private.Decrypt(ciphertext)
			return err
		})
	}
	return group.Wait()
}
