package vectors_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/internal/vectorgen"
)

// total is how many vectors there are. It stands here once more so that a set
// that shrinks is noticed even if its index shrinks too.
const total = 1366

// runners are the tests in this package, by class.
func runners() map[string]func(*testing.T, vectors.Vector) {
	return map[string]func(*testing.T, vectors.Vector){
		"admission":   runAdmission,
		"certificate": runCertificate,
		"fingerprint": runFingerprint,
		"key":         runKey,
		"label":       runLabel,
		"login":       runLogin,
		"message":     runMessage,
		"owner":       runOwner,
		"recorded":    runRecorded,
		"regcred":     runRegCred,
		"roster":      runRoster,
		"serverchain": runServerChain,
		"set":         runSet,
		"sum":         runSum,
		"text":        runText,
		"ticket":      runTicket,
		"token":       runToken,
		"url":         runURL,
	}
}

// elsewhere are the classes that run in session, which alone knows how, and in client,
// which puts signed and saved rosters together.
var elsewhere = []string{"classic", "detect", "frame", "hello", "helloreply", "saved", "signed"}

func TestVectors(t *testing.T) {
	run := make(map[string]int)
	for class, runner := range runners() {
		list, err := vectors.Class(class)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			run[class]++
			t.Run(v.Name, func(t *testing.T) { runner(t, v) })
		}
	}
	for _, class := range elsewhere {
		list, err := vectors.Class(class)
		if err != nil {
			t.Fatal(err)
		}
		run[class] = len(list)
	}
	index, err := vectors.ReadIndex()
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(run, index.Classes) {
		t.Errorf("ran %v, want %v", run, index.Classes)
	}
	sum := 0
	for _, n := range run {
		sum += n
	}
	if sum != total || index.Total != total {
		t.Errorf("ran %d, the index says %d, want %d", sum, index.Total, total)
	}
}

func TestVectorsAreNotStale(t *testing.T) {
	want, err := vectorgen.Generate()
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	err = fs.WalkDir(vectors.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "README.md" {
			return err
		}
		have = append(have, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(want)); !slices.Equal(names, have) {
		t.Fatalf("%d files are here and %d are generated; run go generate ./docs/vectors", len(have), len(names))
	}
	for name, content := range want {
		got, err := fs.ReadFile(vectors.Files(), name)
		if err != nil || string(got) != string(content) {
			t.Errorf("%s is stale (%v); run go generate ./docs/vectors", name, err)
		}
	}
}

// TestPageCitesItsVectors keeps the page and the folder together: each class is
// named where the page says what it holds.
func TestPageCitesItsVectors(t *testing.T) {
	page, err := os.ReadFile("../protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	index, err := vectors.ReadIndex()
	if err != nil {
		t.Fatal(err)
	}
	cited := regexp.MustCompile("Vectors: (.*)\\.\n").FindAllStringSubmatch(string(page), -1)
	var all strings.Builder
	for _, match := range cited {
		all.WriteString(match[1])
	}
	for class := range index.Classes {
		if c := "`" + class; !strings.Contains(all.String(), c+"`") && !strings.Contains(all.String(), c+"/") && class != "recorded" {
			t.Errorf("docs/protocol.md cites no vector of class %s", class)
		}
	}
}

func TestEveryClassIsExplained(t *testing.T) {
	readme, err := fs.ReadFile(vectors.Files(), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	index, err := vectors.ReadIndex()
	if err != nil {
		t.Fatal(err)
	}
	for class := range index.Classes {
		if !strings.Contains(string(readme), "\n| `"+class+"` |") {
			t.Errorf("README.md does not explain class %s", class)
		}
	}
}

func TestEveryLayerIsOneThereIs(t *testing.T) {
	layers := []string{vectors.Success, vectors.Frame, vectors.Handshake, vectors.Auth, vectors.Message, vectors.Rule}
	index, err := vectors.ReadIndex()
	if err != nil {
		t.Fatal(err)
	}
	for class := range index.Classes {
		list, err := vectors.Class(class)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			if !slices.Contains(layers, v.Layer) || path.Dir(v.Name) != class || v.About == "" {
				t.Errorf("%s: layer %q, about %q", v.Name, v.Layer, v.About)
			}
		}
	}
}

// decode fills input and want.
func decode(t *testing.T, v vectors.Vector, input, want any) {
	t.Helper()
	if err := v.Decode(input, want); err != nil {
		t.Fatal(err)
	}
}

// check reports whether err is there if, and only if, the vector fails. It
// returns whether the caller goes on to compare what came out.
func check(t *testing.T, v vectors.Vector, err error) bool {
	t.Helper()
	if v.Layer != vectors.Success && err == nil {
		t.Errorf("accepted: want a failure at layer %s: %s", v.Layer, v.About)
	}
	if v.Layer == vectors.Success && err != nil {
		t.Errorf("refused: %v: %s", err, v.About)
	}
	return v.Layer == vectors.Success && err == nil
}
