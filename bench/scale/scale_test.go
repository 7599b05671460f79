package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const page = "../../docs/scale.md"

// The page shows what the program prints. It is run as the page says, without the race
// detector, which would take minutes.
func TestPageIsUpToDate(t *testing.T) {
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "scale.md")
	if err := os.WriteFile(copied, old, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "./bench/scale", "-write", copied)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	updated, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if string(updated) != string(old) {
		t.Errorf("docs/scale.md is stale: go run ./bench/scale -write docs/scale.md")
	}
}

func TestInsert(t *testing.T) {
	const old = "a\n<!-- scale: x -->\nold\n<!-- scale: end of x -->\nb\n"
	got, err := insert(old, []table{{"x", "new\n"}})
	if want := strings.Replace(old, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"a\n", "<!-- scale: x -->\n"} {
		if _, err := insert(bad, []table{{"x", "new\n"}}); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// small is a start that a test has time for.
func small(servers int, window time.Duration) outcome {
	s := start{clusters: alike(3300, 100), window: window, spread: time.Second}
	return simulate(measured, measured.plant(servers), s)
}

// The same seed gives the same outcome, and every cluster forms once.
func TestSimulationIsDeterministic(t *testing.T) {
	one, two := small(3, time.Second), small(3, time.Second)
	if fmt.Sprint(one) != fmt.Sprint(two) {
		t.Errorf("%v and %v", one, two)
	}
	if one.members != 3300 || len(one.formation) != 100 {
		t.Errorf("%d members, %d clusters", one.members, len(one.formation))
	}
}

// A server alone has no conflicts, and is busy for as long as its members cost.
func TestOneServer(t *testing.T) {
	o := small(1, time.Second)
	if o.conflicts != 0 {
		t.Errorf("%d conflicts", o.conflicts)
	}
	if want := 3300 * measured.serving; o.serverBusy < want*99/100 || o.serverBusy > want*101/100 {
		t.Errorf("busy for %v, want %v", o.serverBusy, want)
	}
	if least := o.serverBusy / time.Duration(measured.serverCores); o.all < least {
		t.Errorf("over after %v, with work for %v", o.all, least)
	}
}

// More servers are faster when processors are what is short.
func TestMoreServersAreFaster(t *testing.T) {
	one, three, ten := small(1, time.Second), small(3, time.Second), small(10, time.Second)
	if one.all <= three.all || three.all <= ten.all {
		t.Errorf("%v, %v, %v", one.all, three.all, ten.all)
	}
	if three.conflicts == 0 {
		t.Error("servers that write the same clusters never conflict")
	}
}

// Formations cost about what they were measured to cost: write transactions for a hundred
// members, and percent of them in conflict.
func TestModelIsLikeWhatItModels(t *testing.T) {
	for name, c := range map[string]struct {
		clusters          []int
		servers           int
		writes, conflicts int64
	}{
		"one of 64 through three servers": {[]int{64}, 3, 46, 21},
		"eight of 32 through two":         {alike(8*32, 8), 2, 23, 17},
	} {
		s := start{clusters: c.clusters, window: time.Millisecond, spread: time.Millisecond}
		o := simulate(measured, plant{servers: c.servers, serverCores: 2, etcdCores: 2}, s)
		if writes := 100 * o.writes / int64(o.members); writes < c.writes/2 || writes > c.writes*3/2 {
			t.Errorf("%s: %d write transactions for 100 members, measured %d", name, writes, c.writes)
		}
		if share := 100 * o.conflicts / o.writes; share < c.conflicts/2 || share > c.conflicts*2 {
			t.Errorf("%s: %d %% in conflict, measured %d", name, share, c.conflicts)
		}
	}
}

func TestQueueIsInOrder(t *testing.T) {
	var q queue
	for i := range 1000 {
		q.push(event{at: time.Duration(i * 7919 % 101)})
	}
	last := q.pop()
	for q.len() > 0 {
		e := q.pop()
		if !last.before(&e) {
			t.Fatalf("%v after %v", e, last)
		}
		last = e
	}
}

// What is chosen does not depend on the order of the list, and a registry that is added
// takes its share and moves nothing between the others.
func TestChoose(t *testing.T) {
	four := names("registry", 4)
	backwards := []string{four[3], four[2], four[1], four[0]}
	shares := make(map[string]int)
	for _, cluster := range names("cluster", 4000) {
		before, after := choose(four[:3], cluster), choose(four, cluster)
		if after != before && after != four[3] {
			t.Errorf("%s goes from %s to %s", cluster, before, after)
		}
		if other := choose(backwards, cluster); other != after {
			t.Errorf("%s is in %s or %s", cluster, after, other)
		}
		shares[after]++
	}
	for r, n := range shares {
		if n < 900 || n > 1100 {
			t.Errorf("%s has %d of 4000 clusters", r, n)
		}
	}
}

// The ten lines of the page choose as this program does.
func TestPythonChoosesAlike(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- scale: choose -->\n```python\n")
	code, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("the page has no code")
	}
	registries := []string{"SHA256:one", "SHA256:two", "SHA256:three"}
	clusters := append(names("cluster", 100), "größe")
	var want strings.Builder
	for _, c := range clusters {
		fmt.Fprintln(&want, choose(registries, c))
	}
	code += "\nimport sys\nregistries = sys.argv[1].split(',')\nfor c in sys.argv[2].split(','):\n    print(choose(registries, c))\n"
	got, err := exec.Command("python3", "-c", code, strings.Join(registries, ","), strings.Join(clusters, ",")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("got %s\nwant %s", got, want.String())
	}
}
