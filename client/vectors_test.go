package client

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type wantMember struct {
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	SigKey   hexBytes `json:"sig_key"`
	Verified bool     `json:"verified"`
}

func classOf(t testing.TB, class string) []vectors.Vector {
	t.Helper()
	all, err := vectors.Class(class)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func decodeInto(t testing.TB, raw json.RawMessage, v any) {
	t.Helper()
	if len(raw) == 0 {
		return
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}

// signedVector is what a reader is given, and what it knows.
type signedVector struct {
	Documents   []hexBytes `json:"documents"`
	SigKey      hexBytes   `json:"sig_key"`
	Fingerprint string     `json:"fingerprint"`
	ClusterKey  hexBytes   `json:"cluster_key"`
}

func signedInput(t testing.TB, v vectors.Vector) (in signedVector) {
	t.Helper()
	decodeInto(t, v.Input, &in)
	return in
}

// document is all of them as a file holds them.
func (v *signedVector) document() (document []byte) {
	for _, d := range v.Documents {
		document = binary.BigEndian.AppendUint32(document, uint32(len(d)))
		document = append(document, d...)
	}
	return document
}

func TestSignedVectors(t *testing.T) {
	for _, vector := range classOf(t, "signed") {
		in := signedInput(t, vector)
		var want struct {
			ClusterName string       `json:"cluster_name"`
			ClusterKey  hexBytes     `json:"cluster_key"`
			Epoch       uint64       `json:"epoch,string"`
			Revision    uint64       `json:"revision,string"`
			Millis      int64        `json:"signed_millis,string"`
			Sum         hexBytes     `json:"sum"`
			Short       string       `json:"short"`
			Members     []wantMember `json:"members"`
		}
		parts, err := readDocument(in.document())
		var got *SignedRoster
		if err == nil {
			pin := keys.Pin{SigKey: xlreg.SigKey(in.SigKey), Fingerprint: in.Fingerprint}
			got, err = verifySigned(parts, pin, xlreg.ClusterKey(in.ClusterKey))
		}
		if (err == nil) != (vector.Layer == vectors.Success) {
			t.Errorf("%s: %v", vector.Name, err)
		}
		if err != nil || vector.Layer != vectors.Success {
			continue
		}
		decodeInto(t, vector.Want, &want)
		if string(got.Cluster.Name) != want.ClusterName || string(got.Cluster.Key) != string(want.ClusterKey) ||
			got.State.Epoch != want.Epoch || got.State.Revision != want.Revision || got.Time.UnixMilli() != want.Millis ||
			string(got.Sum[:]) != string(want.Sum) || got.ShortSum() != want.Short || got.Pinned != (len(in.ClusterKey) > 0) {
			t.Errorf("%s: got %+v", vector.Name, got)
		}
		checkWanted(t, vector.Name, got.Roster, want.Members)
	}
}

func checkWanted(t *testing.T, name string, got *Roster, want []wantMember) {
	t.Helper()
	if len(got.Members) != len(want) {
		t.Errorf("%s: %d members, want %d", name, len(got.Members), len(want))
		return
	}
	for i, w := range want {
		m := &got.Members[i]
		if m.Index != w.Index || string(m.Token.Name) != w.Name || m.Verified != w.Verified ||
			len(w.SigKey) > 0 && string(m.Token.SigKey) != string(w.SigKey) {
			t.Errorf("%s: member %d is %v, want %+v", name, i, m, w)
		}
	}
}

// noConn is the connection of a session in which nothing is said.
type noConn struct{ session.Conn }

func (noConn) Close() error { return nil }

// readWhole does with one answer what receiveWhole does, if it holds the whole roster.
func readWhole(message []byte, key xlreg.ClusterKey) (*Roster, error) {
	m, err := wire.Unmarshal(message)
	if err != nil {
		return nil, err
	}
	c := &Client{
		protocol: xlreg.Protocol20, conn: noConn{}, verifier: verifier{protocol: xlreg.Protocol20},
		clusters: make(map[xlreg.ClusterID]xlreg.Cluster), pinned: make(map[xlreg.ClusterID]bool),
		revision: make(map[xlreg.ClusterID]uint64),
	}
	get := wire.GetRequest{Which: xlreg.AllSeats()}
	if cluster, err := m.Cluster(xlreg.Protocol20); err == nil {
		get.Ref = xlreg.ClusterRef{ID: cluster.ID, Key: key}
	}
	if said, err := m.Roster(xlreg.Protocol20); err == nil {
		get.Since = said.Since
	}
	reply, err := c.rosterOf(m, &get)
	if err != nil {
		return nil, err
	}
	var a assembly
	a.add(reply)
	if !a.missing.IsEmpty() || reply.Since != nil {
		return nil, errPart
	}
	r := a.received()
	if r.sum != reply.Sum {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "Sum")
	}
	return c.verify(r)
}

var errPart = errors.New("a part of a roster")

func TestRosterVectors(t *testing.T) {
	parts := 0
	for _, vector := range classOf(t, "roster") {
		var in struct {
			Protocol   string   `json:"protocol"`
			Message    hexBytes `json:"message"`
			ClusterKey hexBytes `json:"cluster_key"`
		}
		var want struct {
			Error   *struct{ Code int }
			Members []wantMember `json:"members"`
		}
		decodeInto(t, vector.Input, &in)
		decodeInto(t, vector.Want, &want)
		if in.Protocol != "" && in.Protocol != "2.0" {
			continue
		}
		got, err := readWhole(in.Message, xlreg.ClusterKey(in.ClusterKey))
		if vector.Layer == vectors.Success && errors.Is(err, errPart) {
			parts++ // asked for the rest; there is nobody to answer
			continue
		}
		kind, _ := xlreg.KindOf(err)
		switch {
		case vector.Layer == vectors.Success && err == nil:
			checkWanted(t, vector.Name, got, want.Members)
		case vector.Layer == vectors.Success, err == nil:
			t.Errorf("%s: got %v, %v", vector.Name, got, err)
		case want.Error != nil && int(kind) != want.Error.Code && kind != xlreg.ErrIllFormedToken:
			t.Errorf("%s: got %v of kind %d, want %d", vector.Name, fmt.Sprint(err), kind, want.Error.Code)
		}
	}
	if parts > 4 {
		t.Errorf("%d vectors are parts", parts)
	}
}
