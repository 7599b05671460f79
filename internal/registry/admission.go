package registry

import (
	"context"
	"errors"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// maxKept is how many bans, revocations and uses of invites are kept for a cluster.
const maxKept = 4096

// refused is why a key is not admitted. The words travel.
func refused(why string) error { return xlreg.Errorf(xlreg.ErrNotAdmitted, "%s", why) }

// checkAdmission verifies the signatures of an admission, before the Update that looks at
// all else. What it returns in leave is a refusal whose turn comes there.
func (r *Registry) checkAdmission(ctx context.Context, s *Session, req *JoinRequest) (leave, err error) {
	if len(req.Admission) == 0 {
		return nil, nil
	}
	c, err := r.cluster(ctx, req.Ref, s.Protocol)
	if err != nil {
		return nil, err
	}
	if c.Key == "" {
		return refused("none is taken: this cluster is open"), nil
	}
	key := s.SigKey
	p := proofOf("admission", string(c.Name), string(c.Key), string(key), string(req.Admission))
	err = r.prove(ctx, s, p, func() error { return keys.VerifyAdmission(c.Name, c.Key, key, req.Parsed) })
	if errors.Is(err, xlreg.ErrNotAdmitted) || errors.Is(err, xlreg.ErrBadSignature) {
		return refused("bad signature"), nil
	}
	return nil, err
}

// admit decides whether a key may sit down in a cluster, in the order of section 9.3,
// and counts the use of an invite if it is the first of this key.
func (j *joining) admit(tx records.Writer, cl *claim) error {
	c, req := &j.cluster, j.req
	if c.Key == "" && c.Kept == 0 {
		return j.leave // nobody is banned, and no member of an open cluster pays for a look
	}
	banned, err := tx.Banned(c.ID, j.session.sum)
	switch {
	case err != nil:
		return err
	case banned:
		return refused("banned")
	case c.Key == "":
		return j.leave
	case len(req.Admission) == 0:
		return refused("none")
	case j.leave != nil:
		return j.leave
	}
	if !req.Parsed.Invite.IsZero() {
		if err := j.admitByInvite(tx, len(cl.seats) > 0); err != nil {
			return err
		}
	}
	if !keys.HasProofs(cl.token) {
		return refused("not proved: a member of this cluster registers over 2.0")
	}
	return nil
}

// admitByInvite looks at what is kept of an invite. Its end and its uses count when a key
// first joins: a member that comes back is no other use.
func (j *joining) admitByInvite(tx records.Writer, seated bool) error {
	c, invite := &j.cluster, &j.req.Parsed.Invite
	known, err := tx.Invite(c.ID, invite.Key)
	if err != nil && !records.IsNotFound(err) {
		return err
	}
	if known.Revoked {
		return refused("revoked")
	}
	if seated && invite.Uses == 0 {
		return nil
	}
	if invite.Uses > 0 {
		used, err := tx.Used(c.ID, invite.Key, j.session.sum)
		if used || err != nil {
			return err
		}
	}
	return j.firstUse(tx, &known)
}

func (j *joining) firstUse(tx records.Writer, known *records.Invite) error {
	c, invite := &j.cluster, &j.req.Parsed.Invite
	switch {
	case expired(invite.NotAfter, j.now):
		return refused("expired")
	case invite.Uses == 0:
		return nil
	case known.Uses >= invite.Uses:
		return refused("used up")
	case c.Kept >= maxKept:
		return &xlreg.Error{Kind: xlreg.ErrRegistryFull, Detail: "uses of invites", Retry: retryFull}
	}
	c.Kept++
	known.Uses++
	return errors.Join(tx.PutInvite(c.ID, invite.Key, *known), tx.PutUse(c.ID, invite.Key, j.session.sum))
}

func expired(notAfter, now time.Time) bool { return !notAfter.IsZero() && now.After(notAfter) }
