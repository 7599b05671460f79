package keys

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
)

// Inviter is an invite with its private half, by which whoever holds it becomes a member
// of one cluster. However it is printed, the private half is not shown: only Seed
// returns it.
type Inviter struct {
	secret  secret
	name    xlreg.Name
	cluster xlreg.ClusterKey
	invite  xlreg.Invite
}

// NewInviter returns the invite to the cluster with this name and key whose private half
// is seed. Of invite its end, its uses and its signature count, which is not verified
// before it is used.
func NewInviter(name xlreg.Name, cluster xlreg.ClusterKey, seed []byte, invite xlreg.Invite) (*Inviter, error) {
	s, err := newSecret(seed)
	if err != nil {
		return nil, fmt.Errorf("invite: %w", err)
	}
	invite.Key = s.public()
	return &Inviter{secret: s, name: name, cluster: cluster, invite: invite}, nil
}

// Cluster returns the public key of the cluster.
func (i *Inviter) Cluster() xlreg.ClusterKey { return i.cluster }

// Name returns the name of the cluster.
func (i *Inviter) Name() xlreg.Name { return i.name }

// Invite returns what everybody may know of the invite.
func (i *Inviter) Invite() xlreg.Invite { return i.invite }

// Seed returns the private half. It is a secret of those who are invited.
func (i *Inviter) Seed() []byte { return i.secret.seed() }

// String names the public half.
func (i Inviter) String() string { return "invite " + FormatClusterKey(i.invite.Key) }

// Format writes what String returns, whatever the verb.
func (i Inviter) Format(f fmt.State, _ rune) { fmt.Fprint(f, i.String()) }

// MarshalText returns what String does, so that no log and no JSON shows more.
func (i Inviter) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// Admit lets the node with the sig key become a member.
func (i *Inviter) Admit(key xlreg.SigKey) (xlreg.Admission, error) {
	if err := checkAdmitted(i.name, key); err != nil {
		return xlreg.Admission{}, fmt.Errorf("admit: %w", err)
	}
	if err := VerifyInvite(i.name, i.cluster, &i.invite); err != nil {
		return xlreg.Admission{}, fmt.Errorf("admit: %w", err)
	}
	sig := i.secret.sign(admitMessage(i.name, i.cluster, key, i.invite.Key))
	return xlreg.Admission{Invite: i.invite, Sig: sig}, nil
}

// VerifyAdmission reports whether a is the leave of the owner of the cluster with this
// name and key for the node with the sig key. When an invite ends and how often it has
// been used, the registry alone can know. What is wrong is of kind
// xlreg.ErrNotAdmitted.
func VerifyAdmission(name xlreg.Name, cluster xlreg.ClusterKey, key xlreg.SigKey, a xlreg.Admission) error {
	if len(a.Sig) == 0 && a.Invite.IsZero() {
		return xlreg.Errorf(xlreg.ErrNotAdmitted, "none")
	}
	if !a.Invite.IsZero() {
		if err := VerifyInvite(name, cluster, &a.Invite); err != nil {
			return err
		}
	}
	return VerifyLeave(name, cluster, key, a)
}

// VerifyInvite is the part of VerifyAdmission that is the same for all who come with one
// invite: that it is the owner's.
func VerifyInvite(name xlreg.Name, cluster xlreg.ClusterKey, i *xlreg.Invite) error {
	if i.Uses > xlreg.MaxInviteUses {
		return xlreg.Errorf(xlreg.ErrNotAdmitted, "bad signature: no invite has %d uses", i.Uses)
	}
	if !verifyEd25519(cluster, inviteMessage(name, cluster, i), i.Sig) {
		return xlreg.Errorf(xlreg.ErrNotAdmitted, "bad signature: the invite is not the owner's")
	}
	return nil
}

// VerifyLeave is the rest of VerifyAdmission: that a is for the node with the sig key, by
// the owner or by the invite in it.
func VerifyLeave(name xlreg.Name, cluster xlreg.ClusterKey, key xlreg.SigKey, a xlreg.Admission) error {
	signer := cluster
	if !a.Invite.IsZero() {
		signer = a.Invite.Key
	}
	if !verifyEd25519(signer, admitMessage(name, cluster, key, a.Invite.Key), a.Sig) {
		return xlreg.Errorf(xlreg.ErrNotAdmitted, "bad signature")
	}
	return nil
}

func admitMessage(name xlreg.Name, cluster xlreg.ClusterKey, key xlreg.SigKey, invite xlreg.ClusterKey) []byte {
	b := startCluster(admitContext, name, cluster)
	b = appendField(b, key)
	return appendField(b, invite)
}

func inviteMessage(name xlreg.Name, cluster xlreg.ClusterKey, i *xlreg.Invite) []byte {
	b := startCluster(inviteContext, name, cluster)
	b = appendField(b, i.Key)
	b = binary.BigEndian.AppendUint64(b, MillisOfTime(i.NotAfter))
	return binary.BigEndian.AppendUint32(b, i.Uses)
}

// MillisOfTime returns a time as it travels in an invite and is signed: in milliseconds
// since 1970, where 0 stands for none. It is exact for all that TimeOfMillis returns.
func MillisOfTime(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())*1000 + uint64(t.Nanosecond())/1e6
}

// TimeOfMillis returns the time that MillisOfTime returns as millis.
func TimeOfMillis(millis uint64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.Unix(int64(millis/1000), int64(millis%1000)*1e6)
}
