package admin

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

func openTokens(t *testing.T) (*Tokens, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), TokensFile)
	tokens, err := OpenTokens(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tokens, path
}

func TestFirstToken(t *testing.T) {
	tokens, path := openTokens(t)
	for range 2 {
		if err := tokens.WriteFirst(); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := os.ReadFile(filepath.Join(filepath.Dir(path), FirstTokenFile))
	if err != nil || !strings.HasPrefix(string(secret), "xlra_") {
		t.Fatalf("%.5s, %v", secret, err)
	}
	for _, name := range []string{path, filepath.Join(filepath.Dir(path), FirstTokenFile)} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	known, ok := tokens.find(strings.TrimSpace(string(secret)))
	if !ok || known.Name != "admin" || known.ReadOnly {
		t.Errorf("%+v, %v", known, ok)
	}
	if list, err := os.ReadFile(path); err != nil || strings.Contains(string(list), "xlra_") {
		t.Errorf("the list has a token in it, or is not there: %v", err)
	}
	if _, ok := tokens.find(""); ok {
		t.Error("nothing is a token")
	}
}

// Whoever takes a token out of the file, by whatever means, has revoked it.
func TestRevokedInTheFile(t *testing.T) {
	tokens, path := openTokens(t)
	_, kept, err := tokens.Create("kept", true)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, gone, err := tokens.Create("gone", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens.looked = time.Time{} // a second later
	if _, ok := tokens.find(gone); ok {
		t.Error("a token is good that is not in the file")
	}
	if known, ok := tokens.find(kept); !ok || !known.ReadOnly {
		t.Errorf("the other: %+v, %v", known, ok)
	}
	if changed, err := tokens.Reload(); changed || err != nil {
		t.Errorf("nothing has changed since: %v, %v", changed, err)
	}
}

// A registry that has never needed a token has no file, and nothing is wrong with that; one
// whose file is gone has lost it.
func TestReloadWithoutAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), TokensFile)
	tokens, err := OpenTokens(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := tokens.Reload(); changed || err != nil {
		t.Errorf("there has been no file: %v, %v", changed, err)
	}
	if _, _, err := tokens.Create("a", false); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Reload(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is gone: %v", err)
	}
}

func TestDamagedTokens(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":   "xx",
		"cut":       `{"tokens":[{"name":"a"`,
		"no sum":    `{"tokens":[{"name":"a","sha256":"00"}]}`,
		"twice":     `{"tokens":[{"name":"a","sha256":"` + strings.Repeat("0", 64) + `"},{"name":"a","sha256":"` + strings.Repeat("1", 64) + `"}]}`,
		"unknown":   `{"tokens":[],"more":1}`,
		"no name":   `{"tokens":[{"name":"","sha256":"` + strings.Repeat("0", 64) + `"}]}`,
		"too large": strings.Repeat(" ", maxTokensFile+1),
	} {
		var said strings.Builder
		tokens, path := openTokens(t)
		tokens.log = slog.New(slog.NewTextHandler(&said, nil))
		_, secret, err := tokens.Create("a", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if changed, err := tokens.Reload(); changed || err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
		tokens.seen, tokens.looked = nil, time.Time{}
		if _, ok := tokens.find(secret); !ok || !strings.Contains(said.String(), "stay as they were") {
			t.Errorf("%s: the token is lost, or nothing is said: %s", name, said.String())
		}
		if _, _, err := tokens.Create("b", false); !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("%s: a damaged file was written over: %v", name, err)
		}
		if _, err := OpenTokens(path, nil); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestTokensThatOthersMayWrite(t *testing.T) {
	tokens, path := openTokens(t)
	if _, _, err := tokens.Create("a", false); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Reload(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%v", err)
	}
}
