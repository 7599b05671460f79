package etcd

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// login shows etcd a token, and gets another one when that is not valid any more.
// etcd's client could do it, but it shows the old token when it asks for the new one,
// and etcd 3.4 refuses that.
type login struct {
	user, password string

	asking sync.Mutex // held while a token is asked for; taken before mu
	mu     sync.Mutex
	token  string // empty before the first one; guarded by mu
}

var _ credentials.PerRPCCredentials = (*login)(nil)

// options returns nothing if there is no user.
func (l *login) options() []grpc.DialOption {
	if l.user == "" {
		return nil
	}
	return []grpc.DialOption{grpc.WithPerRPCCredentials(l), grpc.WithChainUnaryInterceptor(l.intercept)}
}

// noToken is the key of contexts in which no token is shown.
type noToken struct{}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (l *login) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token := l.present()
	if token == "" || ctx.Value(noToken{}) != nil {
		return nil, nil
	}
	return map[string]string{rpctypes.TokenFieldNameGRPC: token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. Whether there is
// TLS is for whoever runs etcd to say.
func (l *login) RequireTransportSecurity() bool { return false }

func (l *login) present() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}

// intercept makes a request once more if it was refused for its token. Then nothing of
// it has been done.
func (l *login) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	shown := l.present()
	err := invoke(ctx, method, req, reply, cc, opts...)
	if ctx.Value(noToken{}) != nil || !isTokenRefused(err) {
		return err
	}
	if err := l.renew(ctx, cc, shown); err != nil {
		return err
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

func isTokenRefused(err error) bool {
	err = rpctypes.Error(err)
	return errors.Is(err, rpctypes.ErrInvalidAuthToken) || errors.Is(err, rpctypes.ErrUserEmpty) ||
		errors.Is(err, rpctypes.ErrAuthOldRevision)
}

// renew gets a token, unless somebody else has done so since one was shown.
func (l *login) renew(ctx context.Context, cc *grpc.ClientConn, shown string) error {
	l.asking.Lock()
	defer l.asking.Unlock()
	if l.present() != shown {
		return nil
	}
	resp, err := etcdserverpb.NewAuthClient(cc).Authenticate(context.WithValue(ctx, noToken{}, true),
		&etcdserverpb.AuthenticateRequest{Name: l.user, Password: l.password})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = resp.GetToken()
	return nil
}
