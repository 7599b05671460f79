package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// ErrNoSpace says that etcd has raised its NOSPACE alarm. It still answers reads.
var ErrNoSpace = errors.New("etcd is out of space: compact and defragment it, then disarm its NOSPACE alarm")

// sentKey is where a context has an *atomic.Bool for sentHandler.
type sentKey struct{}

// sentHandler notes which requests have been sent, if only in part: what has not been
// sent at all has certainly not been done.
type sentHandler struct{}

var _ stats.Handler = sentHandler{}

// HandleRPC implements stats.Handler.
func (sentHandler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutHeader); !ok {
		return
	}
	if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
}

// TagRPC implements stats.Handler.
func (sentHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn implements stats.Handler.
func (sentHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (sentHandler) HandleConn(context.Context, stats.ConnStats) {}

// readFailure is what an error means for a request that changes nothing.
func readFailure(err error) error {
	if isUnreachable(err) {
		return fmt.Errorf("%w: %w", mirror.ErrUnreachable, err)
	}
	return err
}

// writeFailure is what an error means for a transaction with changes.
func writeFailure(err error, sent bool) error {
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return ErrNoSpace
	case isRefusal(err):
		return err
	case sent:
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return fmt.Errorf("%w: %w", mirror.ErrUnreachable, err)
}

// isRefusal reports whether etcd itself has said that it did nothing, for a reason
// that is not the state of its cluster.
func isRefusal(err error) bool {
	var answer rpctypes.EtcdError
	if !errors.As(rpctypes.Error(err), &answer) {
		return false
	}
	switch answer.Code() {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.ResourceExhausted,
		codes.FailedPrecondition, codes.OutOfRange, codes.NotFound:
		return true
	}
	return false
}

// isUnreachable reports whether another try, perhaps at another member, may do.
func isUnreachable(err error) bool {
	if err == nil || isRefusal(err) {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var answer rpctypes.EtcdError
	if errors.As(rpctypes.Error(err), &answer) {
		return answer.Code() == codes.Unavailable || answer.Code() == codes.DeadlineExceeded
	}
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Internal
}

// isGone reports whether a lease is over.
func isGone(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }

// gRPC's own log is one for the whole process, and says on stderr what comes back as an
// error anyway. It can be turned off only before gRPC is used.
var _ = silenceGRPC()

func silenceGRPC() bool {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	return true
}
