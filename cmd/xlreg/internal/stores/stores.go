// Package stores opens the stores that several servers share, by the URLs that people
// name them with on the command line.
package stores

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/postgres"
)

// Options are how a store is spoken to. They hold no secrets, but the names of the files
// that do.
type Options struct {
	CA, Cert, Key string
	User          string
	PasswordFile  string
	Timeout       time.Duration
}

// Register adds the flags of o.
func (o *Options) Register(flags *pflag.FlagSet) {
	o.registerAs(flags, "store", "the store")
	flags.DurationVar(&o.Timeout, "store-timeout", 3*time.Second, "`TIME` that the store may take for one transaction")
}

// RegisterFrom adds the flags of o for a store that something is taken from, where there
// is another one too.
func (o *Options) RegisterFrom(flags *pflag.FlagSet) {
	o.registerAs(flags, "from", "FROM, if not as for TO")
}

func (o *Options) registerAs(flags *pflag.FlagSet, prefix, which string) {
	flags.StringVar(&o.CA, prefix+"-ca", "", "`FILE` with the certificates that vouch for "+which+", in PEM")
	flags.StringVar(&o.Cert, prefix+"-cert", "", "`FILE` with the certificate that is shown to "+which+", in PEM")
	flags.StringVar(&o.Key, prefix+"-key", "", "`FILE` with its key")
	flags.StringVar(&o.User, prefix+"-user", "", "`USER` of "+which)
	flags.StringVar(&o.PasswordFile, prefix+"-password-file", "", "`FILE` with the user's password")
}

// Given reports whether o says anything but how long to wait.
func (o *Options) Given() bool { return *o != Options{Timeout: o.Timeout} }

// IsURL reports whether something on the command line is meant as a URL and not as a path.
func IsURL(text string) bool { return strings.Contains(text, "://") }

const schemes = "etcd://HOST:PORT,…/PREFIX or postgres://USER@HOST:PORT/DATABASE"

// errScheme says that a URL names no store that this program knows.
var errScheme = errors.New("want " + schemes)

// IsEtcd reports whether a URL names an etcd.
func IsEtcd(url string) bool { return scheme(url) == "etcd" }

// Check reports whether Open knows what to do with a URL and its Options.
func Check(url string, o *Options) error {
	switch scheme(url) {
	case "etcd", "postgres", "postgresql":
	default:
		return errScheme // the URL is not repeated: it may have a password in it
	}
	switch {
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("--store-cert and --store-key go together")
	case o.PasswordFile != "" && o.User == "" && scheme(url) == "etcd":
		return errors.New("--store-password-file: whose password it is has to be said with --store-user")
	case o.Timeout <= 0:
		return fmt.Errorf("--store-timeout %v: want more than 0", o.Timeout)
	}
	return nil
}

// Open opens the store that a URL names.
func Open(ctx context.Context, url string, o *Options, log *slog.Logger) (*mirror.Store, error) {
	switch scheme(url) {
	case "etcd":
		return etcd.Open(ctx, url, etcd.Options{
			CA: o.CA, Cert: o.Cert, Key: o.Key, User: o.User, PasswordFile: o.PasswordFile, Timeout: o.Timeout, Logger: log,
		})
	case "postgres", "postgresql":
		return postgres.Open(ctx, url, postgres.Options{
			CA: o.CA, Cert: o.Cert, Key: o.Key, User: o.User, PasswordFile: o.PasswordFile, Timeout: o.Timeout, Logger: log,
		})
	}
	return nil, errScheme
}

func scheme(url string) string {
	scheme, _, found := strings.Cut(url, "://")
	if !found {
		return ""
	}
	return scheme
}
