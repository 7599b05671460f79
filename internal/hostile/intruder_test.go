package hostile

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// intruder floods a registry with requests, as a node of its own over 2.0.
type intruder struct {
	o     *orders
	conn  session.Conn
	owner *keys.Owner // not of any cluster that it asks about
	node  *identity.Node

	revision uint64     // of the large cluster, which is known once it has been read
	own      xlreg.Name // of its last cluster
}

// requests are what intruders send. Each attack is under way once the registry has given
// the answer that bounds it; whatever else it answers before that, but "too many
// requests", ends the attack and fails the test.
var requests = map[string]struct {
	bound error // nil: the registry does as it is asked, and holds nothing for it
	next  func(i *intruder) *wire.Message
}{
	"orders with wrong signatures": {xlreg.ErrBadSignature, (*intruder).order},
	"admissions by another owner":  {xlreg.ErrNotAdmitted, (*intruder).admission},
	"signed rosters":               {nil, func(i *intruder) *wire.Message { return i.get(wire.GetRequest{Which: xlreg.AllSeats(), Sign: true}) }},
	"watchers":                     {nil, (*intruder).watch},
	"certificates and addresses":   {nil, func(*intruder) *wire.Message { return wire.NewRegCredRequest() }},
	"nodes with many labels":       {xlreg.ErrTooManyRequests, (*intruder).another},
	"fresh joins without end":      {xlreg.ErrTooManyRequests, (*intruder).fresh},
	"leases":                       {xlreg.ErrTooManyRequests, (*intruder).lease},
}

// intrude sends requests of a kind until the connection ends. Who is not even registered,
// since the registry takes in no more nodes from its address, comes again.
func intrude(o *orders, nc net.Conn, ready func()) {
	flood := requests[o.Kind]
	i, err := newIntruder(o, nc)
	if errors.Is(err, xlreg.ErrTooManyRequests) && errors.Is(flood.bound, xlreg.ErrTooManyRequests) {
		ready()
	}
	if err != nil {
		return
	}
	defer i.conn.Close()
	for {
		err := i.ask(flood.next(i))
		if errors.Is(err, xlreg.ErrTooManyRequests) {
			i.own = "" // perhaps it was not made
		}
		switch {
		case errors.Is(err, flood.bound):
			ready()
		case errors.Is(err, xlreg.ErrTooManyRequests):
		case err != nil && !isReply(err): // the connection has ended
			return
		case err != nil || !errors.Is(flood.bound, xlreg.ErrTooManyRequests):
			giveUp(o, err)
		}
	}
}

// giveUp ends the process, by which its test fails.
func giveUp(o *orders, err error) {
	fmt.Fprintf(os.Stderr, "%s: the registry answered %v\n", o.Kind, err)
	os.Exit(1)
}

// isReply reports whether a registry has said err.
func isReply(err error) bool {
	var said *xlreg.Error
	return errors.As(err, &said)
}

func newIntruder(o *orders, nc net.Conn) (*intruder, error) {
	i := &intruder{o: o, owner: keys.NewOwner()}
	var err error
	if i.node, err = strangeNode(); err != nil {
		return nil, err
	}
	der, err := i.node.Certificate(time.Now())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	i.conn, err = session.Connect(ctx, nc, session.ClientConfig{
		Protocol: xlreg.Protocol20, Fingerprint: o.Sig,
		Certificate: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: i.node.Keys().Sig.Signer()},
	})
	if err != nil {
		return nil, err
	}
	if err := i.introduce(); err != nil {
		i.conn.Close()
		return nil, err
	}
	return i, nil
}

// strangeNode makes a node with as many labels as there may be.
func strangeNode() (*identity.Node, error) {
	set, err := keys.Generate(keys.P256, 0)
	if err != nil {
		return nil, err
	}
	node, err := identity.NewNode(identity.Options{Name: newName("n"), Keys: set, Endpoints: []xlreg.Endpoint{"127.0.0.1:9999"}})
	if err != nil {
		return nil, err
	}
	labels := make([]xlreg.Label, xlreg.MaxLabels)
	for n := range labels {
		key := xlreg.Name(fmt.Sprintf("k%d", n))
		labels[n] = xlreg.Label{Key: key, Value: garbage(xlreg.MaxLabelLen/xlreg.MaxLabels - len(key))}
	}
	encoded, err := wire.EncodeLabels(labels)
	node.SetLabels(encoded)
	return node, err
}

// introduce registers, and looks where the large cluster is.
func (i *intruder) introduce() error {
	token, _, err := i.node.Token(xlreg.Protocol20, "", time.Now())
	if err != nil {
		return err
	}
	if err := i.ask(wire.NewMember(token)); err != nil {
		return err
	}
	reply, err := i.exchange(i.get(wire.GetRequest{Which: xlreg.SeatsOf(0)}))
	if err != nil {
		return err
	}
	roster, err := reply.Roster(xlreg.Protocol20)
	if err == nil {
		i.revision = roster.State.Revision
	}
	return err
}

func (i *intruder) ask(m *wire.Message) error {
	_, err := i.exchange(m)
	return err
}

func (i *intruder) exchange(m *wire.Message) (*wire.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return ask(ctx, i.conn, m)
}

// get asks for the large cluster.
func (i *intruder) get(r wire.GetRequest) *wire.Message {
	r.Ref = xlreg.ClusterRef{Name: xlreg.Name(i.o.Cluster)}
	return wire.NewGet(r, xlreg.Protocol20)
}

// watch waits for news of it for a second, of which there are none.
func (i *intruder) watch() *wire.Message {
	second := uint32(time.Second.Milliseconds())
	return i.get(wire.GetRequest{Which: xlreg.AllSeats(), Wait: true, WaitMillis: &second, Since: &i.revision})
}

// order is signed by somebody else than the owner of the cluster.
func (i *intruder) order() *wire.Message {
	o := xlreg.Order{Cluster: xlreg.ClusterID(i.o.Keyed), Serial: 1, Kind: xlreg.OrderReopen}
	return wire.NewOrder(i.owner.SignOrder(wire.EncodeOrder(o)))
}

func (i *intruder) admission() *wire.Message {
	a, err := i.owner.Admit(keyed, i.node.Keys().SigKey)
	if err != nil {
		panic(err) // its name and its key are well-formed
	}
	return wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{ID: xlreg.ClusterID(i.o.Keyed)}, Admission: wire.EncodeAdmission(a)})
}

// another changes what the node says of itself, as long as can be.
func (i *intruder) another() *wire.Message {
	labels, err := wire.EncodeLabels([]xlreg.Label{{Key: "k", Value: garbage(xlreg.MaxLabelLen - 1)}})
	if err != nil {
		panic(err) // they are as long as they may be
	}
	i.node.SetLabels(labels)
	token, _, err := i.node.Token(xlreg.Protocol20, "", time.Now())
	if err != nil {
		panic(err) // it has said so before
	}
	return wire.NewMember(token)
}

// fresh begins its own cluster anew each time, where nobody else comes.
func (i *intruder) fresh() *wire.Message {
	if i.own == "" {
		i.own = newName("c")
		return own(i.own)
	}
	return wire.NewJoin(wire.JoinRequest{
		Ref: xlreg.ClusterRef{Name: i.own}, Run: xlreg.Run(garbage(xlreg.MaxRunLen)), Fresh: true,
	})
}

// lease takes a lease in a new cluster each time.
func (i *intruder) lease() *wire.Message {
	if i.own == "" {
		i.own = newName("c")
		return own(i.own)
	}
	join := wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: i.own}, Run: "a", Lease: time.Hour})
	i.own = ""
	return join
}

func own(name xlreg.Name) *wire.Message {
	return wire.NewCreate(xlreg.ClusterSpec{Name: string(name), MaxSize: 2, EndpointCount: 1})
}

// names counts those that were given in this process.
var names atomic.Uint64

// newName returns a name that no other intruder of this process, or of another, has.
func newName(of string) xlreg.Name {
	return xlreg.Name(fmt.Sprintf("x%d%s%d", os.Getpid(), of, names.Add(1)))
}
