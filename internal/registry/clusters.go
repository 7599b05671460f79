package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// Created is a cluster that was asked for, as it is.
type Created struct {
	Cluster xlreg.Cluster
	State   xlreg.ClusterState
}

// Create returns the cluster with the name, and the key, in spec, making it if there is
// none, and whether it did. What exists is returned as it is, whatever was asked; what is
// made has its numbers brought into range, and no unknown attribute.
func (r *Registry) Create(ctx context.Context, s *Session, spec xlreg.ClusterSpec, allow Allowance) (c Created, did Effect, err error) {
	if s.Protocol.Classic() {
		spec.Attrs = 0 // deployed clients send random ones
	}
	if err := r.checkSpec(ctx, s, &spec); err != nil {
		return Created{}, Unchanged, err
	}
	var head records.Cluster
	now := r.clock.Now()
	err = r.update(ctx, func(tx records.Writer) error {
		if head, did, err = r.create(tx, s, &spec, now); err != nil {
			return err
		}
		return allow.check(did)
	})
	if err != nil {
		return Created{}, Unchanged, err
	}
	if did == MadeNew {
		r.log.Info("cluster created", "cluster", head.Name, "cluster_id", head.ID, "size", head.MaxSize, "keyed", head.Key != "")
		r.happened(s.Actor(), EventCreated, &head)
	}
	return Created{head.Cluster, head.State}, did, nil
}

// checkSpec holds a name against its form and the owner's signature against the key.
func (r *Registry) checkSpec(ctx context.Context, s *Session, spec *xlreg.ClusterSpec) error {
	if spec.Name != "" {
		if _, err := xlreg.ParseName(spec.Name); err != nil {
			return err
		}
	}
	if spec.Key == "" {
		return nil
	}
	if err := spec.Key.Validate(); err != nil {
		return err
	}
	if spec.Name == "" || spec.Attrs&xlreg.ClusterUnique != 0 {
		return xlreg.Errorf(xlreg.ErrIllFormedName, "the owner of a cluster chooses its name")
	}
	numbers := fmt.Sprint(spec.MaxSize, spec.EndpointCount, uint64(spec.Attrs))
	p := proofOf("create", spec.Name, string(spec.Key), numbers, string(spec.OwnerSig))
	return r.prove(ctx, s, p, func() error { return keys.VerifyCreate(spec) })
}

func (r *Registry) create(tx records.Writer, s *Session, spec *xlreg.ClusterSpec, now time.Time) (c records.Cluster, did Effect, err error) {
	name, existing, err := clusterName(tx.Reader, spec)
	if err != nil {
		return c, Unchanged, err
	}
	if existing != nil {
		return *existing, Unchanged, r.again(tx, s, existing, now)
	}
	if err := r.totals.roomForCluster(); err != nil {
		return c, Unchanged, err
	}
	id, err := r.freeID(tx.Reader)
	if err != nil {
		return c, Unchanged, err
	}
	largest := uint32(xlreg.MaxClusterSize)
	if s.Protocol.Classic() {
		largest = xlreg.MaxClassicClusterSize
	}
	c = records.Cluster{
		Cluster: xlreg.Cluster{
			ID:            xlreg.ClusterID(id),
			Name:          name,
			Key:           spec.Key,
			Attrs:         spec.Attrs & xlreg.KnownClusterAttrs,
			MaxSize:       clamp(spec.MaxSize, xlreg.MinClusterSize, largest),
			EndpointCount: clamp(spec.EndpointCount, 1, xlreg.MaxEndpoints),
		},
		State:   xlreg.ClusterState{Epoch: 1},
		Touched: records.Day(now),
		Created: now,
	}
	raise(&c, now)
	c.First = c.State.Revision
	return c, MadeNew, tx.AddCluster(&c)
}

// again is for who creates what exists: it may be gone for good, or nothing for that
// peer. That somebody asked for it is noted once a day.
func (r *Registry) again(tx records.Writer, s *Session, c *records.Cluster, now time.Time) error {
	switch {
	case !c.Deleted.IsZero():
		return refused("deleted: its owner has ended this cluster for good")
	case s.Protocol.Classic() && !c.Classic():
		return xlreg.ErrNoSuchClusterName
	}
	return touch(tx, c, now)
}

// touch notes once a day that somebody has asked for a cluster. Nobody is charged for that.
func touch(tx records.Writer, c *records.Cluster, now time.Time) error {
	today := records.Day(now)
	if !today.After(c.Touched) {
		return nil
	}
	c.Touched = today
	return tx.PutCluster(c)
}

// clusterName returns the name that a new cluster gets, or the cluster that has the
// name and key asked for.
func clusterName(tx records.Reader, spec *xlreg.ClusterSpec) (xlreg.Name, *records.Cluster, error) {
	name := xlreg.Name(spec.Name)
	if name == "" || spec.Attrs&xlreg.ClusterUnique != 0 {
		name, err := freeName(tx, name)
		return name, nil, err
	}
	existing, err := tx.ClusterByName(name, spec.Key)
	if records.IsNotFound(err) {
		return name, nil, nil
	}
	return name, &existing, err
}

// clamp is done on the unsigned value as it came, before it becomes an int.
func clamp(n uint32, low, high uint32) int { return int(min(max(n, low), high)) }

// find returns the cluster that ref names, as far as it exists over p. An ID wins over a
// name, and a key that is not the cluster's finds none.
func find(tx records.Reader, ref xlreg.ClusterRef, p xlreg.Protocol) (c records.Cluster, err error) {
	missing := xlreg.ErrNoSuchClusterID
	switch {
	case ref.ID != "":
		c, err = tx.Cluster(ref.ID)
	case ref.Name != "":
		missing = xlreg.ErrNoSuchClusterName
		c, err = tx.ClusterByName(ref.Name, ref.Key)
	default:
		return c, xlreg.ErrNoClusterNamed
	}
	if err != nil {
		return records.Cluster{}, orKind(err, missing)
	}
	other := ref.Key != "" && ref.Key != c.Key
	if other || !c.Deleted.IsZero() || p.Classic() && !c.Classic() {
		return records.Cluster{}, missing
	}
	return c, nil
}

// Cluster returns the cluster that ref names.
func (r *Registry) Cluster(ctx context.Context, ref xlreg.ClusterRef, p xlreg.Protocol) (xlreg.Cluster, error) {
	c, err := r.cluster(ctx, ref, p)
	return c.Cluster, err
}

func (r *Registry) cluster(ctx context.Context, ref xlreg.ClusterRef, p xlreg.Protocol) (c records.Cluster, err error) {
	err = r.view(ctx, func(tx records.Reader) (err error) {
		c, err = find(tx, ref, p)
		return err
	})
	return c, err
}
