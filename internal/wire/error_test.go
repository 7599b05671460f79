package wire_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

func TestEveryKindTravels(t *testing.T) {
	if len(xlreg.Kinds()) != 24 {
		t.Fatalf("%d kinds, the protocol has 24", len(xlreg.Kinds()))
	}
	for _, kind := range xlreg.Kinds() {
		for name, sent := range map[string]error{
			"kind":    kind,
			"detail":  xlreg.Errorf(kind, "more: of %q", "it"),
			"retry":   &xlreg.Error{Kind: kind, Retry: 1500 * time.Millisecond},
			"wrapped": fmt.Errorf("serve: %w", xlreg.Errorf(kind, "detail")),
		} {
			t.Run(kind.Error()+"/"+name, func(t *testing.T) {
				got := travel(t, wire.NewError(sent)).Err()
				if !errors.Is(got, kind) {
					t.Errorf("%v came as %v", sent, got)
				}
				equal(t, xlreg.RetryAfter(got), xlreg.RetryAfter(sent))
				if want := strings.TrimPrefix(sent.Error(), "serve: "); got.Error() != want {
					t.Errorf("text %q, want %q", got, want)
				}
			})
		}
	}
}

// Original servers send a text alone; this is all of section 5's.
func TestTextAlone(t *testing.T) {
	for text, want := range map[string]error{
		"cannot find cluster with this ID":                xlreg.ErrNoSuchClusterID,
		"cannot find cluster with this name":              xlreg.ErrNoSuchClusterName,
		"cluster member id already in use":                xlreg.ErrMemberIDInUse,
		"cluster members must have at least one endPoint": xlreg.ErrTooFewEndpoints,
		"cluster member name already in use":              xlreg.ErrMemberNameInUse,
		"ID already in use":                               xlreg.ErrIDInUse,
		"missing cluster name or ID":                      xlreg.ErrNoClusterNamed,
		"invalid msg type for current state":              xlreg.ErrWrongState,
		"message tag out of range":                        xlreg.ErrBadTag,
		"unexpected message type":                         xlreg.ErrUnexpectedType,
		"ID already in use: by m0":                        xlreg.ErrIDInUse,
		"ID already in use by m0":                         xlreg.ErrProtocol,
		"on fire":                                         xlreg.ErrProtocol,
		"":                                                xlreg.ErrProtocol,
	} {
		err := raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpError), ErrDesc: proto.String(text)}).Err()
		if !errors.Is(err, want) {
			t.Errorf("%q came as %v", text, err)
		}
		if !strings.HasSuffix(err.Error(), text) {
			t.Errorf("%q is lost in %q", text, err)
		}
	}
}

func TestCodeCountsMoreThanText(t *testing.T) {
	for code, want := range map[uint32]error{
		13:           xlreg.ErrClusterFull,
		0:            xlreg.ErrIDInUse,
		24:           xlreg.ErrKeyNotAdmitted,
		25:           xlreg.ErrIDInUse,
		256 + 13:     xlreg.ErrIDInUse,
		1<<32 - 1:    xlreg.ErrIDInUse,
		1<<16 + 0x0d: xlreg.ErrIDInUse,
	} {
		pb := &xlregpb.XLRegMsg{Op: op(wire.OpError), ErrCode: proto.Uint32(code), ErrDesc: proto.String("ID already in use")}
		if err := raw(t, pb).Err(); !errors.Is(err, want) {
			t.Errorf("code %d came as %v", code, err)
		}
	}
}

// How many orders have been done travels with the one kind that it explains.
func TestOrdersTravel(t *testing.T) {
	for _, kind := range []xlreg.Kind{xlreg.ErrOrdersChanged, xlreg.ErrClusterFull} {
		var got *xlreg.Error
		if !errors.As(travel(t, wire.NewError(&xlreg.Error{Kind: kind, Orders: 7})).Err(), &got) {
			t.Fatal("no error")
		}
		if want := map[bool]uint64{true: 7}[kind == xlreg.ErrOrdersChanged]; got.Orders != want {
			t.Errorf("%v came with %d orders, want %d", kind, got.Orders, want)
		}
	}
}

func TestCausesStayHere(t *testing.T) {
	cause := &fs.PathError{Op: "write", Path: "/var/lib/secret", Err: errors.New("no space left")}
	for name, sent := range map[string]error{
		"alone":           cause,
		"beside a kind":   errors.Join(cause, xlreg.ErrClusterFull),
		"around a kind":   fmt.Errorf("put node in %s: %w", cause.Path, xlreg.ErrClusterFull),
		"around an error": fmt.Errorf("%w: %w", cause, xlreg.Errorf(xlreg.ErrClusterFull, "5 of 5")),
	} {
		t.Run(name, func(t *testing.T) {
			b := string(encode(t, wire.NewError(sent)))
			if strings.Contains(b, "secret") || strings.Contains(b, "space") {
				t.Errorf("message %q tells the cause", b)
			}
		})
	}
	got := travel(t, wire.NewError(cause)).Err()
	if !errors.Is(got, xlreg.ErrTryLater) || xlreg.RetryAfter(got) <= 0 {
		t.Errorf("an internal error came as %v, retry after %v", got, xlreg.RetryAfter(got))
	}
}

func TestRetryIsBounded(t *testing.T) {
	for sent, want := range map[time.Duration]time.Duration{
		-time.Second:                 0,
		time.Microsecond:             0,
		time.Hour:                    time.Hour,
		time.Duration(1<<63 - 1):     (1<<32 - 1) * time.Millisecond,
		1500*time.Millisecond + 1000: 1500 * time.Millisecond,
	} {
		err := travel(t, wire.NewError(&xlreg.Error{Kind: xlreg.ErrTooManyRequests, Retry: sent})).Err()
		equal(t, xlreg.RetryAfter(err), want)
	}
}

// What a peer says ends up in one line on a terminal.
func TestErrorIsOneShortLine(t *testing.T) {
	text := "no\r\n\x1b[31mway\xff " + strings.Repeat("é", 5000)
	err := raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpError), ErrDesc: proto.String(text)}).Err()
	if strings.ContainsAny(err.Error(), "\r\n\x1b") || strings.Contains(err.Error(), "\xff") || len(err.Error()) > 2000 {
		t.Errorf("got %q", err)
	}
	if !strings.Contains(err.Error(), "no???[31mway? é") {
		t.Errorf("got %q", err)
	}
}

func TestOtherMessagesAreNoError(t *testing.T) {
	if err := travel(t, wire.NewAck()).Err(); err != nil {
		t.Errorf("Ack is the error %v", err)
	}
}
