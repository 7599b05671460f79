package wire

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// NewMemberOK returns the reply to a Member.
func NewMemberOK(t *xlreg.Token) *Message {
	return newMessage(OpMemberOK, &xlregpb.XLRegMsg{
		MemberName:  proto.String(string(t.Name)),
		MemberID:    t.ID.Bytes(),
		MemberAttrs: proto.Uint64(uint64(t.Attrs)),
	})
}

// MemberOK reads the ID and the attributes that the registry bound to the node.
func (m *Message) MemberOK() (xlreg.NodeID, xlreg.NodeAttrs, error) {
	id, err := xlreg.NodeIDFromBytes(m.pb.GetMemberID())
	if err != nil {
		return "", 0, xlreg.Errorf(xlreg.ErrProtocol, "MemberID: %v", err)
	}
	return id, xlreg.NodeAttrs(m.pb.GetMemberAttrs()), nil
}

// NewClusterReply returns a CreateReply or a JoinReply, whichever op is.
func NewClusterReply(op Op, c *xlreg.Cluster) *Message {
	return newMessage(op, clusterToPB(c))
}

func clusterToPB(c *xlreg.Cluster) *xlregpb.XLRegMsg {
	return &xlregpb.XLRegMsg{
		ClusterID:      c.ID.Bytes(),
		ClusterName:    proto.String(string(c.Name)),
		ClusterMaxSize: proto.Uint32(uint32(c.MaxSize)),
		ClusterAttrs:   proto.Uint64(uint64(c.Attrs)),
		EndPointCount:  proto.Uint32(uint32(c.EndpointCount)),
	}
}

// Cluster reads the cluster of a CreateReply, JoinReply or ClusterMembers.
// Original servers leave fields out, the name in a JoinReply and all but the ID
// in ClusterMembers; those are zero.
func (m *Message) Cluster() (xlreg.Cluster, error) {
	id, err := xlreg.ClusterIDFromBytes(m.pb.GetClusterID())
	if err != nil {
		return xlreg.Cluster{}, xlreg.Errorf(xlreg.ErrProtocol, "ClusterID: %v", err)
	}
	name := xlreg.Name(m.pb.GetClusterName())
	if err := name.Validate(); err != nil && name != "" {
		return xlreg.Cluster{}, xlreg.Errorf(xlreg.ErrProtocol, "ClusterName: %v", err)
	}
	size, count := m.pb.GetClusterMaxSize(), m.pb.GetEndPointCount()
	if size > xlreg.MaxClusterSize || count > xlreg.MaxEndpoints {
		return xlreg.Cluster{}, xlreg.Errorf(xlreg.ErrProtocol, "cluster of %d members with %d endpoints", size, count)
	}
	return xlreg.Cluster{
		ID:            id,
		Name:          name,
		Attrs:         xlreg.ClusterAttrs(m.pb.GetClusterAttrs()),
		MaxSize:       int(size),
		EndpointCount: int(count),
	}, nil
}

// NewLeaveReply returns the reply to a Leave.
func NewLeaveReply(id xlreg.ClusterID) *Message {
	return newMessage(OpLeaveReply, &xlregpb.XLRegMsg{ClusterID: id.Bytes()})
}

// NewAck returns the reply to a Bye.
func NewAck() *Message { return newMessage(OpAck, new(xlregpb.XLRegMsg)) }

// NewRegCredReply returns the reply to a RegCredRequest.
func NewRegCredReply(c *xlreg.Credentials) *Message {
	specs := tokenToPB(&xlreg.Token{Name: c.Name, ID: c.ID, CommsKey: c.CommsKey, SigKey: c.SigKey, Endpoints: c.Endpoints})
	specs.Attrs = nil
	return newMessage(OpRegCredReply, &xlregpb.XLRegMsg{MemberSpecs: specs, Version: proto.Uint32(uint32(c.Version))})
}

// Credentials reads a RegCredReply. A registry may leave its endpoints out.
func (m *Message) Credentials() (*xlreg.Credentials, error) {
	specs := m.pb.GetMemberSpecs()
	if specs == nil {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "RegCredReply without MemberSpecs")
	}
	t, err := tokenFromPB(specs, maxReplyToken)
	if err == nil {
		err = keys.CheckToken(t)
	}
	if err != nil {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "RegCredReply: %v", err)
	}
	if t.ID == "" {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "RegCredReply without the registry's ID")
	}
	return &xlreg.Credentials{
		Name: t.Name, ID: t.ID, CommsKey: t.CommsKey, SigKey: t.SigKey,
		Endpoints: t.Endpoints, Version: xlreg.Version(m.pb.GetVersion()),
	}, nil
}

const (
	retryUnknown  = time.Second // when to come back after an error of no kind
	maxDetailText = 1024        // bytes of a description that are read
)

// NewError returns the Error that stands for err. Only an error's kind and
// detail travel: whatever else is wrapped in it stays here. An error without a
// kind is sent as ErrTryLater, since it says nothing about the request.
func NewError(err error) *Message {
	e := errorOf(err)
	pb := &xlregpb.XLRegMsg{
		ErrDesc: proto.String(e.Error()),
		ErrCode: proto.Uint32(uint32(e.Kind)),
	}
	if e.Retry > 0 {
		pb.RetryMillis = proto.Uint32(uint32(min(e.Retry.Milliseconds(), 1<<32-1)))
	}
	return newMessage(OpError, pb)
}

func errorOf(err error) *xlreg.Error {
	var e *xlreg.Error
	if errors.As(err, &e) {
		return e
	}
	if kind, ok := xlreg.KindOf(err); ok {
		return &xlreg.Error{Kind: kind}
	}
	return &xlreg.Error{Kind: xlreg.ErrTryLater, Retry: retryUnknown}
}

// Err reads an Error; nil if m is another message. Original servers send a text
// alone, from which the kind is then taken.
func (m *Message) Err() error {
	if m.Op() != OpError {
		return nil
	}
	text := m.pb.GetErrDesc()
	kind, detail := kindOfText(printable(text))
	if code := m.pb.GetErrCode(); code > 0 && code < 1<<8 && xlreg.Kind(code).Valid() {
		kind = xlreg.Kind(code)
	}
	return &xlreg.Error{Kind: kind, Detail: detail, Retry: time.Duration(m.pb.GetRetryMillis()) * time.Millisecond}
}

// printable returns the beginning of a peer's text in the form of one line, fit
// for a log and a terminal.
func printable(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxDetailText)], "?")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// kindOfText returns the kind that a description begins with, and what follows
// its colon. A text that begins with none is a protocol error's detail.
func kindOfText(text string) (xlreg.Kind, string) {
	for _, k := range xlreg.Kinds() {
		rest, ok := strings.CutPrefix(text, k.Error())
		if !ok {
			continue
		}
		if detail, ok := strings.CutPrefix(rest, ": "); ok || rest == "" {
			return k, detail
		}
	}
	return xlreg.ErrProtocol, text
}
