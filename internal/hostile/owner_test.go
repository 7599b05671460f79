package hostile

import (
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// createKeyed has the owner make the cluster with a key.
func (t *talker) createKeyed(c *choices) *wire.Message {
	spec := xlreg.ClusterSpec{Name: keyed, MaxSize: uint32(2 + c.below(2)), EndpointCount: 1, Key: t.w.cast.owner.Public()}
	t.w.cast.owner.SignCreate(&spec)
	return wire.NewCreate(spec)
}

// joinKeyed joins that cluster, by the owner's word, by an invite, or with what another
// was given.
func (t *talker) joinKeyed(c *choices) *wire.Message {
	t.w.t.Helper()
	var a xlreg.Admission
	var err error
	who := t.rogue
	if c.below(8) == 1 {
		who = t.w.cast.rogues[0]
	}
	if c.below(2) == 0 {
		a, err = t.w.cast.owner.Admit(keyed, who.node.Keys().SigKey)
	} else {
		a, err = t.w.cast.inviter.Admit(who.node.Keys().SigKey)
	}
	if err != nil {
		t.w.t.Fatal(err)
	}
	ref := xlreg.ClusterRef{Name: keyed, Key: t.w.cast.owner.Public()}
	return wire.NewJoin(wire.JoinRequest{Ref: ref, Admission: wire.EncodeAdmission(a)})
}

// joinFresh joins for a new start, with one of few runs.
func (t *talker) joinFresh(c *choices) *wire.Message {
	return wire.NewJoin(wire.JoinRequest{
		Ref: xlreg.ClusterRef{Name: xlreg.Name(clusterName(c))}, Run: xlreg.Run([]byte{byte('0' + c.below(4))}), Fresh: true,
		Lease: time.Duration(c.below(3)) * time.Minute,
	})
}

// news asks for what has changed, signed.
func (t *talker) news(c *choices) *wire.Message {
	since, epoch, millis := uint64(c.below(4)), uint64(1+c.below(3)), uint32(c.below(20))
	return wire.NewGet(wire.GetRequest{
		Which: xlreg.AllSeats(), Since: &since, WaitEpoch: &epoch, Wait: true, WaitMillis: &millis, Sign: true,
	}, xlreg.Protocol20)
}

// order is one of the owner's, about a cluster that has been seen.
func (t *talker) order(c *choices) *wire.Message {
	o := xlreg.Order{
		Serial: uint64(1 + c.below(4)), Kind: xlreg.OrderKind(1 + c.below(5)),
		KeySum: keys.KeySum(t.w.cast.rogues[c.below(len(t.w.cast.rogues))].node.Keys().SigKey),
		Invite: t.w.cast.inviter.Invite().Key,
	}
	if ids := t.w.data.keyedClusters(); len(ids) > 0 {
		o.Cluster = ids[c.below(len(ids))]
	}
	return wire.NewOrder(t.w.cast.owner.SignOrder(wire.EncodeOrder(o)))
}
