package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// Comparison is what the other members see of the cluster, against what this node sees.
type Comparison struct {
	Roster *Roster // what this node sees

	Same    []Member // who see the same
	Other   []Other  // who see another cluster at a revision that this node knows
	Unknown []Other  // who did not say, or have a revision of which nothing can be said
}

// Other is a member whose view of the cluster is not that of this node.
type Other struct {
	Member   Member
	Revision uint64 // of which it told; 0: of none
	Sum      [32]byte
	Err      error // why it is not known what it sees; nil: it is known
}

const comparedAtOnce = 16

// Compare asks every other member, over mutual TLS and without the registry, what it sees of
// the cluster. A registry could show each of them another one. If one sees another cluster
// at the same revision the error is ErrOtherRoster and names it, and the Comparison comes
// along. Whoever cannot be asked, does not serve SumALPN, or cannot be compared with since
// it has another revision, is in Unknown.
//
// It asks at the first endpoint of each. A member that knows a newer revision makes this node
// ask the registry for news once.
func (m *Membership) Compare(ctx context.Context) (*Comparison, error) {
	roster, answers := m.Roster(), []answer(nil)
	for range 2 {
		answers = m.askAll(ctx, roster)
		if !anyNewer(answers, roster.State.Revision) {
			break
		}
		newer, err := m.Refresh(ctx)
		if err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		roster = newer
	}
	c := &Comparison{Roster: roster}
	for i := range answers {
		m.judgeSum(c, &answers[i])
	}
	return c, c.err()
}

// answer is what one member said.
type answer struct {
	member Member
	reply  wire.SumReply
	err    error
}

func anyNewer(answers []answer, revision uint64) bool {
	for i := range answers {
		if answers[i].err == nil && answers[i].reply.Revision > revision {
			return true
		}
	}
	return false
}

// askAll asks the other members of a roster, some at a time.
func (m *Membership) askAll(ctx context.Context, r *Roster) []answer {
	var answers []answer
	for i := range r.Members {
		if r.Members[i].Token.SigKey != m.o.Node.Keys().SigKey {
			answers = append(answers, answer{member: r.Members[i]})
		}
	}
	var work errgroup.Group
	work.SetLimit(comparedAtOnce)
	for i := range answers {
		work.Go(func() error {
			a := &answers[i]
			a.reply, a.err = m.askMember(ctx, &a.member, r.State.Revision)
			return nil
		})
	}
	_ = work.Wait() // each answer has its own error
	return answers
}

func (m *Membership) askMember(ctx context.Context, to *Member, revision uint64) (wire.SumReply, error) {
	h := &handshake{role: tls.Client, judge: m.judge(), config: m.config(), want: to}
	h.config.NextProtos = []string{SumALPN}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := h.dial(ctx, m.o.Dialer, 0)
	if err != nil {
		return wire.SumReply{}, err
	}
	defer conn.Close()
	if conn.ConnectionState().NegotiatedProtocol != SumALPN {
		return wire.SumReply{}, errors.New("it does not serve " + SumALPN)
	}
	return m.askSum(ctx, conn, revision)
}

// judgeSum files an answer.
func (m *Membership) judgeSum(c *Comparison, a *answer) {
	o := Other{Member: a.member, Revision: a.reply.Revision, Sum: a.reply.Sum, Err: a.err}
	if a.err != nil {
		c.Unknown = append(c.Unknown, o)
		return
	}
	own, _ := m.sumAt(a.reply.Revision)
	switch {
	case own.state.Revision != a.reply.Revision:
		o.Err = fmt.Errorf("it has revision %d, of which this node knows nothing", a.reply.Revision)
		c.Unknown = append(c.Unknown, o)
	case own.sum != a.reply.Sum:
		c.Other = append(c.Other, o)
	default:
		c.Same = append(c.Same, a.member)
	}
}

func (c *Comparison) err() error {
	if len(c.Other) == 0 {
		return nil
	}
	names := make([]xlreg.Name, len(c.Other))
	for i := range c.Other {
		names[i] = c.Other[i].Member.Token.Name
	}
	return fmt.Errorf("compare %s: %w: %s", clusterText(&c.Roster.Cluster), ErrOtherRoster, quoted(names))
}
