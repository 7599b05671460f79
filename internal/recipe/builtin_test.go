package recipe

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A builtin recipe that cannot be read would be missing without a word.
func TestBuiltin(t *testing.T) {
	paths, err := filepath.Glob("builtin/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal(err, len(paths))
	}
	var names, withFormat []string
	for _, path := range paths {
		r, err := readBuiltin(filepath.Base(path))
		if err != nil {
			t.Error(err)
			continue
		}
		if r.File != r.Name+".yaml" {
			t.Errorf("recipe %s is in %s", r.Name, r.File)
		}
		untested := len(r.Tested) == 0 && r.Name != "torchrun" // which was never run: the table in docs/recipes.md says so
		if r.About == "" || r.Program == "" || r.Install == (Install{}) || untested {
			t.Errorf("%s: it does not say what it is (about), what to install (program, install) and what was tested", r.Name)
		}
		names = append(names, r.Name)
		if r.Format.Text != "" {
			withFormat = append(withFormat, r.Name)
		}
	}
	if !slices.Equal(WithFormat(), withFormat) {
		t.Errorf("those with a format are %q, and should be %q", WithFormat(), withFormat)
	}
	if !slices.Equal(Names(), names) {
		t.Errorf("there are %q, and files %q", Names(), names)
	}
}

func TestFind(t *testing.T) {
	r, err := Find("etcd")
	if err != nil || r.Name != "etcd" {
		t.Fatal(r, err)
	}
	if text, err := Source("etcd"); err != nil || !strings.Contains(string(text), "name: etcd\n") {
		t.Error(string(text), err)
	}
	for _, program := range []string{"etcd", "/usr/bin/etcd"} {
		if r, ok := ForProgram(program); !ok || r.Name != "etcd" {
			t.Errorf("%s: %v", program, r)
		}
	}
	if r, ok := ForProgram("python3"); ok {
		t.Errorf("every program in Python is taken for %s", r.Name)
	}
	for name, want := range map[string]string{
		"": "there are", "x": "there are", "../recipe": "there are", "kafka": "there are", "echo": "there are", "cat": "there are",
		"etc": "if you mean etcd,", "etcd.yaml": "if you mean etcd,", "Redis": "if you mean redis,", "rediss": "if you mean redis,",
		"reids": "if you mean redis,", "zookeper": "if you mean zookeeper,", "rabbit": "if you mean rabbitmq,",
	} {
		if _, err := Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := Source(name); err == nil {
			t.Errorf("%q has a source", name)
		}
		if r, ok := ForProgram(name); ok {
			t.Errorf("%q: %v", name, r.Name)
		}
	}
}

// What every start of the program does, and what one does that wants a recipe.
func BenchmarkNames(b *testing.B) {
	for b.Loop() {
		WithFormat()
	}
}

func BenchmarkBuiltin(b *testing.B) {
	for b.Loop() {
		for _, name := range Names() {
			if _, err := readBuiltin(name + ".yaml"); err != nil {
				b.Fatal(err)
			}
		}
	}
}
