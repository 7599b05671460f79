package admincmd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
)

// Place says with flags which registry is meant, and who asks.
type Place struct {
	data      string // directory
	url       string
	tokenFile string
	trust     string // file with certificates, or a fingerprint
	cert, key string // files
}

// usualData is where packages have a registry keep its data.
const usualData = "/var/lib/xlreg"

// patience is how long a command waits for a registry that is just about to start.
const patience = 2 * time.Second

// Register gives a command, and those below it, the flags.
func (p *Place) Register(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&p.data, "data", "", "the registry's data directory on this machine, `DIR` (default "+usualData+", if a registry runs there)")
	flags.StringVar(&p.url, "admin-url", "", "the registry's admin side elsewhere, `URL` such as https://registry.example.org:8443; or --url")
	flags.StringVar(&p.tokenFile, "admin-token-file", "", "`FILE` with an admin's token")
	flags.StringVar(&p.trust, "admin-ca", "", "how to know the server: `FILE` with the certificates of its CAs, or the sum of its key, sha256//… or SHA256:… (default the system's CAs)")
	flags.StringVar(&p.cert, "admin-cert", "", "`FILE` with the certificate of an admin key, such as a node's cert.pem")
	flags.StringVar(&p.key, "admin-key", "", "`FILE` with that key, such as a node's sig.pem")
	flags.StringVar(&p.url, "url", "", "")
	_ = flags.MarkHidden("url") // it is short for --admin-url, whose variable says of what
}

// Open returns a client for the registry. It must be closed.
func (p *Place) Open(g *cli.Globals) (*adminclient.Client, error) { return p.open(g, patience) }

func (p *Place) open(g *cli.Globals, patience time.Duration) (*adminclient.Client, error) {
	if p.url != "" && p.data != "" && g.FromEnv("data") == g.FromEnv("admin-url") {
		return nil, cli.UsageError(errors.New("--data and --admin-url name two registries: leave one of them out"))
	}
	if p.url == "" || p.data != "" && g.FromEnv("admin-url") {
		dir, err := p.Dir()
		if err != nil {
			return nil, err
		}
		return adminclient.New(adminclient.Options{Socket: filepath.Join(dir, datadir.SocketFile), Patience: patience})
	}
	o := adminclient.Options{URL: p.url}
	if err := errors.Join(p.readToken(&o), p.readTrust(&o), p.readKey(&o)); err != nil {
		return nil, err
	}
	c, err := adminclient.New(o)
	if err != nil {
		err = cli.UsageError(fmt.Errorf("--admin-url: %w", err))
	}
	return c, err
}

// Dir returns the data directory that is meant.
func (p *Place) Dir() (string, error) {
	if p.data != "" {
		return p.data, nil
	}
	if _, err := os.Lstat(filepath.Join(usualData, datadir.SocketFile)); errors.Is(err, os.ErrNotExist) {
		return "", cli.UsageError(fmt.Errorf("no registry runs in %s: say which with --data DIR, or with --admin-url URL", usualData))
	}
	return usualData, nil
}

// isRemote reports whether the registry is asked over a network, so that nothing is known
// of its directory.
func (p *Place) isRemote(g *cli.Globals) bool {
	return p.url != "" && (p.data == "" || !g.FromEnv("admin-url"))
}

// maxSecret is how long files with tokens may be.
const maxSecret = 4 << 10

func (p *Place) readToken(o *adminclient.Options) error {
	if p.tokenFile == "" {
		return nil
	}
	text, err := readShort(p.tokenFile)
	if err != nil {
		return err
	}
	o.Token = strings.TrimSpace(string(text))
	if o.Token == "" || strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%s: want one token, as 'xlreg admin tokens create' prints it", p.tokenFile)
	}
	return nil
}

func readShort(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(text) > maxSecret {
		err = fmt.Errorf("%s is longer than any token", path)
	}
	return text, err
}

func (p *Place) readTrust(o *adminclient.Options) error {
	if strings.HasPrefix(p.trust, "SHA256:") || strings.HasPrefix(p.trust, "sha256//") {
		o.Pin = p.trust
		return nil
	}
	if p.trust == "" {
		return nil
	}
	text, err := os.ReadFile(p.trust)
	if err != nil {
		return err
	}
	o.Roots = x509.NewCertPool()
	if !o.Roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s: want certificates in PEM", p.trust)
	}
	return nil
}

func (p *Place) readKey(o *adminclient.Options) error {
	if p.cert == "" && p.key == "" {
		return nil
	}
	if p.cert == "" || p.key == "" {
		return cli.UsageError(errors.New("--admin-cert and --admin-key belong together"))
	}
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return fmt.Errorf("--admin-cert and --admin-key: %w", err)
	}
	o.Certificate = &pair
	return nil
}
