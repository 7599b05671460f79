package admin

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/private"
)

const (
	tokenPrefix = "xlra_" // so that people and scanners know what they see
	tokenBytes  = 32
	firstToken  = "admin"

	// maxTokens is how many there may be, and maxTokensFile how long their file may be.
	maxTokens     = 1000
	maxTokensFile = 1 << 20

	// tokensLookEvery is how often the file is looked at, at most.
	tokensLookEvery = time.Second
)

// Tokens are those who may read and change, kept in a file: of each token a name and the
// sum, which is of no use to whoever reads it. The file may be edited while a registry
// runs.
type Tokens struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	list   []token     // guarded by mu
	seen   fs.FileInfo // guarded by mu; of the file that list was read from
	looked time.Time   // guarded by mu
}

var errTokenExists = errors.New("there is a token named")

// token is one of them in the file.
type token struct {
	api.Token
	Sum string `json:"sha256"`
}

type tokensFile struct {
	Tokens []token `json:"tokens"`
}

// OpenTokens reads the tokens in the file at path, which need not exist.
func OpenTokens(path string, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: path, log: cmp.Or(log, slog.New(slog.DiscardHandler))}
	if _, err := t.Reload(); err != nil {
		return nil, err
	}
	return t, nil
}

// First makes the first token, which may do everything, if there has been none so far;
// else secret is empty.
func (t *Tokens) First() (secret string, err error) {
	if _, err := os.Stat(t.path); !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	_, secret, err = t.Create(firstToken, false)
	return secret, err
}

// Reload reads the file, and reports whether that made a difference. An error leaves the
// tokens as they were.
func (t *Tokens) Reload() (changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.load()
}

// load needs mu held.
func (t *Tokens) load() (changed bool, err error) {
	t.looked = time.Now()
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) && t.seen == nil {
		return false, nil // nobody has ever needed a token here
	}
	if err != nil {
		return false, fmt.Errorf("admin tokens: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("admin tokens: %w", err)
	}
	t.seen = info // a file that is no good is told of once
	if err := checkPrivate(t.path, info); err != nil {
		return false, err
	}
	list, err := readTokens(f)
	if err != nil {
		return false, fmt.Errorf("%s: %w", t.path, err)
	}
	changed = !slices.Equal(t.list, list)
	t.list = list
	return changed, nil
}

// checkPrivate makes sure that nobody else can let himself in.
func checkPrivate(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write to %s: run chmod 600 %s", path, path)
	}
	return private.Owner(path, info)
}

func readTokens(r io.Reader) ([]token, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTokensFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxTokensFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxTokensFile)
	}
	var file tokensFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if len(file.Tokens) > maxTokens {
		return nil, fmt.Errorf("it has %d tokens, at most %d allowed", len(file.Tokens), maxTokens)
	}
	names := make(map[string]bool)
	for _, k := range file.Tokens {
		if err := checkToken(k, names); err != nil {
			return nil, err
		}
	}
	return file.Tokens, nil
}

func checkToken(k token, names map[string]bool) error {
	sum, err := hex.DecodeString(k.Sum)
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("token %.40q: its sha256 is no sum in hexadecimal", k.Name)
	}
	if _, err := xlreg.ParseName(k.Name); err != nil {
		return fmt.Errorf("token %.40q: %w", k.Name, err)
	}
	if names[k.Name] {
		return fmt.Errorf("token %s is there twice", k.Name)
	}
	names[k.Name] = true
	return nil
}

// find returns what is known of a token. A nil Tokens knows none.
func (t *Tokens) find(shown string) (api.Token, bool) {
	if t == nil {
		return api.Token{}, false
	}
	sum := []byte(sumOf(shown))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look()
	for _, k := range t.list {
		if subtle.ConstantTimeCompare([]byte(k.Sum), sum) == 1 {
			return k.Token, true
		}
	}
	return api.Token{}, false
}

// has reports whether there is a token with a name.
func (t *Tokens) has(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look()
	return slices.ContainsFunc(t.list, func(k token) bool { return k.Name == name })
}

func sumOf(shown string) string {
	sum := sha256.Sum256([]byte(shown))
	return hex.EncodeToString(sum[:])
}

// look reads the file if it has changed, so that what is revoked there is no good within
// a second. mu is held.
func (t *Tokens) look() {
	if time.Since(t.looked) < tokensLookEvery {
		return
	}
	t.looked = time.Now()
	info, err := os.Stat(t.path)
	if err == nil && sameFile(info, t.seen) {
		return
	}
	if err == nil {
		_, err = t.load()
	}
	if err != nil {
		t.log.Warn("the admin tokens cannot be read, and stay as they were", "err", err)
	}
}

func sameFile(a, b fs.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// List returns all tokens, by name.
func (t *Tokens) List() []api.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look()
	list := make([]api.Token, 0, len(t.list))
	for _, k := range t.list {
		list = append(list, k.Token)
	}
	slices.SortFunc(list, func(a, b api.Token) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Create makes a token, which is shown now and never again.
func (t *Tokens) Create(name string, readOnly bool) (made api.Token, secret string, err error) {
	if _, err := xlreg.ParseName(name); err != nil {
		return made, "", invalid("token: %w", err)
	}
	b := make([]byte, tokenBytes)
	rand.Read(b) // never fails
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
	made = api.Token{Name: name, ReadOnly: readOnly, Created: time.Now().UTC().Truncate(time.Millisecond)}
	err = t.edit(func(list []token) ([]token, error) {
		if slices.ContainsFunc(list, func(k token) bool { return k.Name == name }) {
			return nil, fmt.Errorf("%w %s: revoke it first, or choose another name", errTokenExists, name)
		}
		if len(list) >= maxTokens {
			return nil, invalid("there are %d tokens already", len(list))
		}
		return append(list, token{made, sumOf(secret)}), nil
	})
	if err != nil {
		return api.Token{}, "", err
	}
	return made, secret, nil
}

// Revoke takes a token away.
func (t *Tokens) Revoke(name string) error {
	return t.edit(func(list []token) ([]token, error) {
		left := slices.DeleteFunc(list, func(k token) bool { return k.Name == name })
		if len(left) == len(list) {
			return nil, fmt.Errorf("token %.80q: %w", name, api.ErrNotFound)
		}
		return left, nil
	})
}

// edit changes the list in the file, and here when it is on disk. What somebody else has
// written there meanwhile is read first: it must not be lost.
func (t *Tokens) edit(f func([]token) ([]token, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.load(); err != nil && !(errors.Is(err, fs.ErrNotExist) && t.list == nil) {
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	list, err := f(slices.Clone(t.list))
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(tokensFile{list}, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(t.path, append(b, '\n'), 0o600); err != nil {
		return err
	}
	_, err = t.load()
	return err
}

// The files of the admin side in a data directory. The first token is in a file of its own
// for the operator, who may remove it: more people read a log than this directory.
const (
	TokensFile     = "admin-tokens.json"
	FirstTokenFile = "admin-token" // #nosec G101 -- the name of a file
)

// WriteFirst makes the first token, if there has been none so far, and keeps it in
// FirstTokenFile beside the list.
func (t *Tokens) WriteFirst() error {
	secret, err := t.First()
	if err != nil || secret == "" {
		return err
	}
	return atomicfile.Write(filepath.Join(filepath.Dir(t.path), FirstTokenFile), []byte(secret+"\n"), 0o600)
}
