package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/overview"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/keys"
)

// Changer is what an admin may change; it is an admin.Changer.
type Changer struct {
	host *Host
	by   registry.Actor
}

// By returns the Changer of an admin, who asks from an address.
func (h *Host) By(admin, from string) Changer {
	return Changer{h, registry.Actor{Admin: admin, From: from}}
}

// Evict is for admin.Changer.
func (c Changer) Evict(ctx context.Context, id string, e api.Eviction) (api.Done, error) {
	o := registry.AdminOrder{Kind: xlreg.OrderEvict, Member: xlreg.Name(e.Member), Revision: e.Revision}
	if e.Ban {
		o.Kind = xlreg.OrderBan
	}
	if (e.Member == "") == (e.Key == "") {
		return api.Done{}, fmt.Errorf("%w: say which member it is, by its name or by its key", api.ErrInvalid)
	}
	if e.Key != "" {
		sum, err := c.keyOf(ctx, id, e.Key)
		if err != nil {
			return api.Done{}, err
		}
		o.KeySum = sum
	}
	return c.order(ctx, id, o)
}

// keyOf finds the key of a member by its fingerprint, from which it does not follow.
func (c Changer) keyOf(ctx context.Context, id, fingerprint string) (xlreg.KeySum, error) {
	wanted, err := keys.ParseFingerprint(fingerprint)
	if err != nil {
		return "", fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	parsed, err := xlreg.ParseClusterID(id)
	if err != nil {
		return "", noCluster(id)
	}
	detail, err := c.host.registry.Detail(ctx, parsed)
	if err != nil {
		return "", c.host.explain(err)
	}
	for i := range detail.Members {
		key := detail.Members[i].Token.SigKey
		if has, err := keys.Fingerprint(key); err == nil && has == keys.FormatFingerprint(wanted) {
			return keys.KeySum(key), nil
		}
	}
	return "", fmt.Errorf("%w: no member has the key %s", api.ErrNotFound, keys.FormatFingerprint(wanted))
}

// Reopen is for admin.Changer.
func (c Changer) Reopen(ctx context.Context, id string, revision *uint64) (api.Done, error) {
	return c.order(ctx, id, registry.AdminOrder{Kind: xlreg.OrderReopen, Revision: revision})
}

// Delete is for admin.Changer.
func (c Changer) Delete(ctx context.Context, id string, revision *uint64) (api.Done, error) {
	return c.order(ctx, id, registry.AdminOrder{Kind: xlreg.OrderDelete, Revision: revision})
}

func (c Changer) order(ctx context.Context, id string, o registry.AdminOrder) (api.Done, error) {
	parsed, err := xlreg.ParseClusterID(id)
	if err != nil {
		return api.Done{}, noCluster(id)
	}
	o.Cluster = parsed
	did, err := c.host.registry.AdminOrder(ctx, c.by, o)
	if err != nil {
		return api.Done{}, c.host.explain(err)
	}
	var done api.Done
	for _, name := range did.Evicted {
		done.Evicted = append(done.Evicted, string(name))
	}
	if did.Deleted {
		return done, nil
	}
	brief, err := overview.Brief(&did.Head)
	done.Cluster = &brief
	return done, err
}

// Forget is for admin.Changer.
func (c Changer) Forget(ctx context.Context, node string) error {
	id, err := xlreg.ParseNodeID(node)
	if err != nil {
		return noNode(node)
	}
	return c.host.explain(c.host.registry.ForgetNode(ctx, c.by, id))
}

// Drain is for admin.Changer.
func (c Changer) Drain(ctx context.Context, on bool) error {
	err := c.host.drain(ctx, on)
	if err == nil {
		c.host.log.Info("server drained", "on", on, "admin", c.by.Admin, "from", c.by.From)
	}
	if errors.Is(err, server.ErrNoDrain) {
		return fmt.Errorf("%w: %w", api.ErrUnsupported, err)
	}
	return err
}

// SetLogLevel is for admin.Changer.
func (c Changer) SetLogLevel(_ context.Context, level string) error {
	i := slices.IndexFunc(levels[:], func(l levelName) bool { return l.name == level })
	switch {
	case i < 0:
		return fmt.Errorf("%w: there is no log level %.80q", api.ErrInvalid, level)
	case c.host.steward.level == nil:
		return fmt.Errorf("%w: the log of this registry is another program's", api.ErrUnsupported)
	}
	c.host.steward.level.Set(levels[i].level)
	c.host.log.Info("log level set", "level", level, "admin", c.by.Admin, "from", c.by.From)
	return nil
}

// explain gives an error of the rules the kind that admins are told. What the store says
// is for the log alone.
func (h *Host) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for _, k := range told {
		if errors.Is(err, k.of) {
			return fmt.Errorf("%w: %w", k.kind, err)
		}
	}
	if errors.Is(err, xlreg.ErrTryLater) {
		h.log.Error("an admin was refused for now", "err", err)
		return fmt.Errorf("%w: the store does not answer", api.ErrUnavailable)
	}
	return err
}

// told are the kinds of errors that admins are told, by those of the rules.
var told = []struct{ of, kind error }{
	{registry.ErrOwned, api.ErrOwned},
	{registry.ErrChanged, api.ErrChanged},
	{registry.ErrNoSuchNode, api.ErrNotFound},
	{xlreg.ErrNoSuchClusterID, api.ErrNotFound},
	{xlreg.ErrNotMember, api.ErrNotFound},
	{registry.ErrSeated, api.ErrInvalid},
	{registry.ErrNoOrder, api.ErrInvalid},
	{xlreg.ErrRegistryFull, api.ErrUnavailable},
	{xlreg.ErrTooManyRequests, api.ErrUnavailable},
}
