package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// savedVector is a saved roster, and what its reader knows.
type savedVector struct {
	Saved       hexBytes         `json:"saved"`
	Signer      string           `json:"signer"`
	Name        xlreg.Name       `json:"name"`
	Endpoints   []xlreg.Endpoint `json:"endpoints"`
	Fingerprint string           `json:"fingerprint"`
	Now         int64            `json:"now_millis,string"`
	ClusterName xlreg.Name       `json:"cluster_name"`
	ClusterKey  hexBytes         `json:"cluster_key"`
}

func vectorKey(t testing.TB, name string) keys.Private {
	t.Helper()
	text, err := fs.ReadFile(vectors.Files(), "keys/"+name+".pem")
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.ParsePrivate(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// node is the reader.
func (v *savedVector) node(t testing.TB) *identity.Node {
	t.Helper()
	set, err := keys.NewSet(vectorKey(t, "node-comms"), vectorKey(t, v.Signer))
	if err != nil {
		t.Fatal(err)
	}
	n, err := identity.NewNode(identity.Options{Name: v.Name, Endpoints: v.Endpoints, Keys: set})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (v *savedVector) load(node *identity.Node) (*SavedRoster, error) {
	return LoadRoster(&regcred.Target{Fingerprint: v.Fingerprint}, node, v.Saved, LoadOptions{
		Cluster: xlreg.ClusterRef{Name: v.ClusterName, Key: xlreg.ClusterKey(v.ClusterKey)},
		Now:     func() time.Time { return time.UnixMilli(v.Now) },
	})
}

func TestSavedVectors(t *testing.T) {
	for _, vector := range classOf(t, "saved") {
		var in savedVector
		decodeInto(t, vector.Input, &in)
		node := in.node(t)
		got, err := in.load(node)
		if (err == nil) != (vector.Layer == vectors.Success) || err != nil && !errors.Is(err, ErrBadSaved) {
			t.Errorf("%s: %v", vector.Name, err)
		}
		if err != nil || vector.Layer != vectors.Success {
			continue
		}
		var want struct {
			NodeID     hexBytes     `json:"node_id"`
			Heard      int64        `json:"heard_millis,string"`
			ClusterKey hexBytes     `json:"cluster_key"`
			Epoch      uint64       `json:"epoch,string"`
			Revision   uint64       `json:"revision,string"`
			Sum        hexBytes     `json:"sum"`
			Members    []wantMember `json:"members"`
			Canonical  bool         `json:"canonical"`
		}
		decodeInto(t, vector.Want, &want)
		if string(got.Self.Token.ID) != string(want.NodeID) || got.Heard.UnixMilli() != want.Heard ||
			string(got.Cluster.Key) != string(want.ClusterKey) || got.State.Epoch != want.Epoch ||
			got.State.Revision != want.Revision || !bytes.Equal(got.Sum[:], want.Sum) || got.Pinned != (len(in.ClusterKey) > 0) {
			t.Errorf("%s: got %+v", vector.Name, got)
		}
		checkWanted(t, vector.Name, got.Roster, want.Members)
		if want.Canonical {
			again, err := encodeSaved(got.Roster, node, in.Fingerprint, got.Heard)
			if err != nil || !bytes.Equal(unsigned(again), unsigned(in.Saved)) {
				t.Errorf("%s: saved again it is %x, %v", vector.Name, again, err)
			}
		}
	}
}

// unsigned is a saved roster less its signature, in which there may be chance.
func unsigned(saved []byte) []byte {
	for _, size := range []int{256, 70, 71, 72, 69} {
		at := len(saved) - size - 4
		if at > 0 && int(binary.BigEndian.Uint32(saved[at:])) == size {
			return saved[:at]
		}
	}
	return nil
}

// No bytes, however they came about, make LoadRoster panic, and none but the node's own
// are taken.
func FuzzLoadRoster(f *testing.F) {
	var in savedVector
	for _, vector := range classOf(f, "saved") {
		in = savedVector{}
		decodeInto(f, vector.Input, &in)
		f.Add([]byte(in.Saved))
	}
	in.Signer, in.Name, in.Endpoints = "node-sig", "m1", nil
	node := in.node(f)
	f.Fuzz(func(t *testing.T, saved []byte) {
		in := in
		in.Saved = saved
		if _, err := in.load(node); err != nil && !errors.Is(err, ErrBadSaved) {
			t.Errorf("%v", err)
		}
	})
}
