package recipetest

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/recipe"
)

// TestRecipes runs etcd, NATS, Redis and RabbitMQ, and with XLREG_RECIPES=all all systems.
func TestRecipes(t *testing.T) {
	all := os.Getenv("XLREG_RECIPES")
	var results []result
	var left []string
	for _, s := range systems() {
		if s.n == 0 {
			s.n = 3
		}
		if s.victim == 0 {
			s.victim = s.n - 1
		}
		if !s.always && all != "all" && all != s.name {
			left = append(left, s.name)
			continue
		}
		t.Run(s.name, func(t *testing.T) { results = append(results, try(t, s)) })
	}
	if len(left) > 0 {
		t.Logf("left to 'make recipes', which sets XLREG_RECIPES=all: %s", strings.Join(left, ", "))
	}
	if *update {
		writeTable(t, results)
	}
}

// try runs a system through all that there is to see of it.
func try(t *testing.T, s system) result {
	if missing := missingPrograms(s); len(missing) > 0 {
		return notInstalled(t, s, missing)
	}
	c := &cluster{t: t, s: s, dir: t.TempDir(), temp: t.TempDir()}
	got := result{Name: s.name, Versions: versions(s), Date: time.Now().UTC().Format(time.DateOnly)}
	got.Formed = c.start()
	running := true
	defer func() {
		if running {
			c.stop()
		}
	}()
	c.whole()
	if open := listensElsewhere(c.dir); len(open) > 0 {
		t.Errorf("every machine in reach can connect to\n%s", strings.Join(open, "\n"))
	}
	if len(s.tls) > 0 {
		c.strangers()
		got.Refused = ports(s)
	}
	if s.strangers != nil {
		if err := s.strangers(c); err != nil {
			t.Error(err)
		}
	}
	c.client()
	c.paste()
	c.write()
	c.read("at first")
	if s.noDeath == "" {
		c.kill()
		c.read("after a death")
		c.restart()
		c.whole()
	}
	running = false
	c.stop()
	if s.kept && !t.Failed() {
		running = true
		c.start()
		c.whole()
		c.read("after a second start")
		got.Kept = true
	}
	got.OK = !t.Failed()
	return got
}

// missingPrograms returns what a system needs and the machine does not have: as 'xlreg recipes'
// tells it, and what only the tests need.
func missingPrograms(s system) []string {
	out, err := exec.Command(program, "recipes", "-o", "json").Output()
	var known struct {
		Recipes []struct {
			Name    string   `json:"name"`
			Missing []string `json:"missing"`
		} `json:"recipes"`
	}
	if err == nil {
		err = json.Unmarshal(out, &known)
	}
	if err != nil {
		return []string{err.Error()}
	}
	var missing []string
	for _, r := range known.Recipes {
		if r.Name == s.name {
			missing = append(missing, r.Missing...)
		}
	}
	for _, name := range s.needs {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// notInstalled names what is missing. Without the systems that are always tested there is no
// test, and with the others the table says it.
func notInstalled(t *testing.T, s system, missing []string) result {
	t.Helper()
	r, _ := recipe.Find(s.name)
	report := t.Logf
	if s.always {
		report = t.Errorf
	}
	report("%s was not run: this machine has no %s, which %q installs", s.name, strings.Join(missing, ", "), r.Install.Command())
	return result{Name: s.name, Missing: missing, Date: time.Now().UTC().Format(time.DateOnly)}
}

// versions asks each program of a system for its version.
func versions(s system) []string {
	var all []string
	for _, command := range s.what {
		out, err := exec.Command("sh", "-c", command).Output()
		if line := strings.TrimSpace(string(out)); err == nil && line != "" {
			all = append(all, line)
		}
	}
	return all
}

func ports(s system) []string {
	var names []string
	for _, p := range s.tls {
		names = append(names, p.name)
	}
	return names
}

// TestEverySystem holds that no recipe goes without a test.
func TestEverySystem(t *testing.T) {
	tested := make(map[string]bool)
	for _, s := range systems() {
		if tested[s.name] {
			t.Errorf("%s is there twice", s.name)
		}
		tested[s.name] = true
		if _, err := recipe.Find(s.name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range recipe.Names() {
		if !tested[name] {
			t.Errorf("nothing tests the recipe %s", name)
		}
	}
}
