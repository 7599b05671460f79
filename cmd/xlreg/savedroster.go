package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/atomicfile"
)

// savedDir is where in its directory a node keeps the rosters of its clusters for a start
// without the registry, a file for each: ID@PLACE.saved, as in seatsDir.
const (
	savedDir = "rosters"
	savedExt = ".saved"
)

// maxSavedFile is how long such a file may be: more than the client takes.
const maxSavedFile = 33 << 20

// saveEvery is how often the file is written anew while nothing in it changes but the time
// when the registry was last heard.
const saveEvery = time.Hour

func (s *seats) savedDir() string { return filepath.Join(filepath.Dir(s.dir), savedDir) }

// savedPath returns where the roster of a cluster is kept.
func (s *seats) savedPath(c *xlreg.Cluster) string {
	return filepath.Join(s.savedDir(), c.ID.String()+seatAt+s.place(c.Name, c.Key)+savedExt)
}

// findSaved returns the path of the roster that is kept of a cluster, named by name or ID;
// "" if none is.
func (s *seats) findSaved(ref xlreg.ClusterRef) string {
	pattern := "*" + seatAt + s.place(ref.Name, ref.Key) + savedExt
	if ref.ID != "" {
		pattern = ref.ID.String() + seatAt + "*" + savedExt
	}
	for _, path := range findIn(s.savedDir(), pattern) {
		return path
	}
	return ""
}

// save keeps a member's roster in place of what was kept for its cluster.
func (s *seats) save(m *client.Membership) error {
	saved, err := m.SaveRoster()
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(s.savedDir(), 0o700); err != nil {
		return err
	}
	c := m.Cluster()
	path := s.savedPath(&c)
	if err := atomicfile.RemoveLeftovers(path); err != nil {
		return err
	}
	if err := atomicfile.Write(path, saved, 0o600); err != nil {
		return err
	}
	return s.removeSaved(path, &c)
}

// removeSaved removes the rosters that were kept of clusters in the place of c, except one.
func (s *seats) removeSaved(but string, c *xlreg.Cluster) error {
	for _, path := range findIn(s.savedDir(), "*"+seatAt+s.place(c.Name, c.Key)+savedExt) {
		if path == but {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// errUnreadable says that a saved roster is there, and cannot be had.
var errUnreadable = errors.New("saved roster cannot be read")

// readSavedFile reads such a file. What is no regular one, a pipe for example, might never end.
func readSavedFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var data []byte
	if err == nil {
		data, err = readAtMost(path, maxSavedFile)
	}
	if err == nil {
		return data, nil
	}
	if p := new(fs.PathError); errors.As(err, &p) {
		err = p.Err // the path is said once
	}
	return nil, fmt.Errorf("%s: %w: %w", path, errUnreadable, err)
}

func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// errNothingSaved says that a node keeps no roster of a cluster.
var errNothingSaved = errors.New("no roster of the cluster is kept here")

// loadSaved reads the roster that o's node keeps of the cluster.
func (o *joining) loadSaved() (*client.SavedRoster, error) {
	path := seatsOf(o.Node, o.place.registry()).findSaved(o.place.ref)
	if path == "" {
		return nil, fmt.Errorf("%w: %s keeps one when it has joined with COMMAND while the registry was there", errNothingSaved, o.Node.Name())
	}
	data, err := readSavedFile(path)
	if err != nil {
		return nil, err
	}
	saved, err := client.LoadRoster(o.place.target, o.Node, data, client.LoadOptions{Cluster: o.place.ref, Endpoints: o.savedEndpoints()})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c := &saved.Cluster; o.Size != 0 && o.Size != c.MaxSize {
		return nil, xlreg.Errorf(xlreg.ErrClusterSize, "cluster %q is made for %d members, not %d", c.Name, c.MaxSize, o.Size)
	}
	return saved, nil
}

// savedEndpoints returns where the member has to be in a saved roster: where the command
// line says, as far as this machine alone can tell, and nil if it says nothing.
func (o *joining) savedEndpoints() []xlreg.Endpoint {
	var all []xlreg.Endpoint
	for i, a := range o.given {
		e, err := a.endpoint(func() (netip.Addr, error) { return netip.Addr{}, errNoHost })
		switch {
		case i < len(o.Advertise) && a.host != observedHost:
			e = o.Advertise[i]
		case err != nil || a.host == observedHost:
			e = xlreg.Endpoint(":" + a.port)
		}
		all = append(all, e)
	}
	return all
}

// errNoHost says that the address of this machine is the registry's to tell.
var errNoHost = errors.New("no host")

// saver keeps a member's roster on disk as it is now.
type saver struct {
	seats  *seats
	member *client.Membership

	mu    sync.Mutex
	heard time.Time // guarded by mu; as it is in the file
}

func newSaver(o *joining, m *client.Membership) *saver {
	return &saver{seats: seatsOf(o.Node, o.place.registry()), member: m}
}

// save writes the roster.
func (s *saver) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := s.member.Heard()
	if err := s.seats.save(s.member); err != nil {
		return err
	}
	s.heard = heard
	return nil
}

// refresh writes it if the registry was heard since it was last written.
func (s *saver) refresh() error {
	s.mu.Lock()
	fresh := !s.member.Heard().After(s.heard)
	s.mu.Unlock()
	if fresh {
		return nil
	}
	return s.save()
}

// savedWords says how old a saved roster is, and how many members it has.
func savedWords(s *client.SavedRoster) string {
	return fmt.Sprintf("the roster of %s, %d of %d members", s.Heard.UTC().Format(time.RFC3339), len(s.Members), s.Cluster.MaxSize)
}
