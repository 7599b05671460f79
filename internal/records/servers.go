package records

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
)

// ErrAnothers says that the data in a store are those of another registry.
var ErrAnothers = errors.New("the data are those of another registry")

// words is the form of what servers of several versions have to understand of each
// other: it does not go with the version of the others' records.
var words = form{written: 1, oldest: 1}

// ServerID is one run of one of the servers that share a store. Those that started
// earlier sort before the others, as far as the servers' clocks agree.
type ServerID string

// Server is what a server says of itself to the others.
type Server struct {
	ID      ServerID
	Name    string // of the machine, for people
	Version string // of the program
	Reads   int    // the newest version of records that it reads
}

// Identity is whose data there are in a store.
type Identity struct {
	ID   xlreg.NodeID
	Name xlreg.Name
	Sig  string // fingerprint of the registry's sig key
}

// Record returns the key and the value that tell the others of s while it is there.
func (s *Server) Record() (key string, value []byte, err error) {
	key = serverRoot + string(s.ID)
	value, err = words.encode(key, &recordspb.Server{Name: s.Name, Version: s.Version, Reads: uint32(s.Reads)})
	return key, value, err
}

// ChangedServer returns the ID of the server that a change concerns, and what it says of
// itself; nil if it has gone. The ID is empty if the change concerns none.
func ChangedServer(c store.Change) (ServerID, *Server, error) {
	id, ok := strings.CutPrefix(c.Key, serverRoot)
	if !ok || c.Value == nil {
		return ServerID(id), nil, nil
	}
	s, err := serverFrom(c.Key, c.Value)
	return ServerID(id), s, err
}

func serverFrom(key string, value []byte) (*Server, error) {
	var pb recordspb.Server
	if err := words.decode(key, value, &pb); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	id := ServerID(key[len(serverRoot):])
	return &Server{ID: id, Name: pb.GetName(), Version: pb.GetVersion(), Reads: int(pb.GetReads())}, nil
}

// Servers returns the servers that there are, the earliest first.
func (r Reader) Servers() (servers []Server, err error) {
	for item, err := range r.tx.Scan(serverRoot) {
		if err != nil {
			return nil, fmt.Errorf("servers: %w", err)
		}
		s, err := serverFrom(item.Key, item.Value)
		if err != nil {
			return nil, err
		}
		servers = append(servers, *s)
	}
	return servers, nil
}

// Identity returns whose data these are, or store.ErrNotFound if nobody has said so.
func (r Reader) Identity() (Identity, error) {
	var pb recordspb.Identity
	if err := r.getWord(identityKey, &pb); err != nil {
		return Identity{}, fmt.Errorf("identity: %w", err)
	}
	return Identity{ID: xlreg.NodeID(pb.GetId()), Name: xlreg.Name(pb.GetName()), Sig: pb.GetSigFingerprint()}, nil
}

// PutIdentity says whose data these are.
func (w Writer) PutIdentity(i Identity) error {
	return w.putWord(identityKey, &recordspb.Identity{Id: []byte(i.ID), Name: string(i.Name), SigFingerprint: i.Sig})
}

// Schema returns the version in which records are written; 0 if nothing says so.
func (r Reader) Schema() (int, error) {
	var pb recordspb.Schema
	err := r.getWord(Schema, &pb)
	if IsNotFound(err) {
		return 0, nil
	}
	return int(pb.GetVersion()), err
}

// PutSchema says in which version records are written from now on.
func (w Writer) PutSchema(version int) error {
	return w.putWord(Schema, &recordspb.Schema{Version: uint32(version)})
}

// ChangedSchema returns the version that a change says records are written in from now
// on; false if it says nothing of that.
func ChangedSchema(c store.Change) (int, bool, error) {
	if c.Key != Schema || c.Value == nil {
		return 0, false, nil
	}
	var pb recordspb.Schema
	err := words.decode(c.Key, c.Value, &pb)
	return int(pb.GetVersion()), err == nil, err
}

// PutCount says how much there is, for the servers that have not counted.
func (w Writer) PutCount(t Totals) error {
	return w.putWord(Count, &recordspb.Counted{Nodes: int64(t.Nodes), Clusters: int64(t.Clusters), Bytes: t.Bytes})
}

// LastCount returns what was counted last, or store.ErrNotFound.
func (r Reader) LastCount() (Totals, error) {
	var pb recordspb.Counted
	err := r.getWord(Count, &pb)
	return countFrom(&pb), err
}

// ChangedCount returns what a change says that was counted; false if it says nothing.
func ChangedCount(c store.Change) (Totals, bool, error) {
	if c.Key != Count || c.Value == nil {
		return Totals{}, false, nil
	}
	var pb recordspb.Counted
	err := words.decode(c.Key, c.Value, &pb)
	return countFrom(&pb), err == nil, err
}

func countFrom(pb *recordspb.Counted) Totals {
	return Totals{Nodes: int(pb.GetNodes()), Clusters: int(pb.GetClusters()), Bytes: pb.GetBytes()}
}

// ChangedSeat returns the cluster of the seat that a change concerns, and the seat, which
// is nil if nobody has it any more. The ID is empty if the change concerns none.
func ChangedSeat(c store.Change) (xlreg.ClusterID, *Seat, error) {
	id, ok := SeatAt(c.Key)
	if !ok || c.Value == nil {
		return id, nil, nil
	}
	var pb recordspb.Seat
	if err := current.decode(c.Key, c.Value, &pb); err != nil {
		return "", nil, fmt.Errorf("changed seat: %w", err)
	}
	found := traceFromPB(&pb)
	if found.lastKey != "" {
		return id, nil, nil
	}
	return id, &found.Seat, nil
}

// PutKeeper says which server keeps the lease of a seat that has been read. Readers of
// the cluster see nothing of that.
func (w Writer) PutKeeper(c *Cluster, s *Seat, keeper ServerID) error {
	s.Keeper = keeper
	return w.put(seatKey(c.ID, s.Index), seatToPB(s))
}

func (r Reader) getWord(key string, m proto.Message) error {
	record, err := r.tx.Get(key)
	if err != nil {
		return err
	}
	return words.decode(key, record, m)
}

func (w Writer) putWord(key string, m proto.Message) error {
	record, err := words.encode(key, m)
	if err != nil {
		return err
	}
	return w.tx.Put(key, record)
}

// shared returns what lies under a word, for Checker.
func shared(key string) proto.Message {
	switch {
	case key == identityKey:
		return new(recordspb.Identity)
	case key == Schema:
		return new(recordspb.Schema)
	case key == Count:
		return new(recordspb.Counted)
	case key == workKey:
		return new(recordspb.Work)
	case strings.HasPrefix(key, serverRoot):
		return new(recordspb.Server)
	}
	return nil
}
