package wire

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

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
	if e.Kind == xlreg.ErrOrdersChanged {
		pb.Orders = proto.Uint64(e.Orders)
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
	e := &xlreg.Error{Kind: kind, Detail: detail, Retry: duration(m.pb.GetRetryMillis())}
	if kind == xlreg.ErrOrdersChanged {
		e.Orders = m.pb.GetOrders()
	}
	return e
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
