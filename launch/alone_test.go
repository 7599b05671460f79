package launch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/xlregtest"
)

// Who is alone has all that others have, and the same again the next time.
func TestAlone(t *testing.T) {
	node := xlregtest.Node(t, "m0")
	if err := node.SetEndpoints([]xlreg.Endpoint{"127.0.0.1:4000", "127.0.0.1:4001"}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "m0")
	d, err := Alone(node, "solo", dir)
	if err != nil {
		t.Fatal(err)
	}
	if d.Cluster.Size != 1 || d.Self != d.Members[0] || !d.Self.Verified || len(d.Others()) != 0 || d.Sum != "" {
		t.Errorf("%+v", d)
	}
	for _, o := range []FileOptions{{}, {Authority: testAuthority(t), Temporary: true}} {
		if err := o.Write(d, node); err != nil {
			t.Fatal(err)
		}
		files, err := d.TLS()
		if err != nil {
			t.Fatal(err)
		}
		if err := shakeHands(t, files, files); err != nil {
			t.Error(err)
		}
	}
	var roster view.Roster
	data, err := os.ReadFile(filepath.Join(dir, rosterFile))
	if err == nil {
		err = json.Unmarshal(data, &roster)
	}
	if err != nil || roster.Cluster.Name != "solo" || len(roster.Members) != 1 || roster.Members[0].Name != "m0" || roster.State != nil {
		t.Errorf("roster.json: %v, %s", err, data)
	}
	env, err := d.Environment()
	if err != nil || !slices.Contains(env, "XLREG_SIZE=1") || !slices.Contains(env, "XLREG_ENDPOINTS_1=127.0.0.1:4001") {
		t.Errorf("%q, %v", env, err)
	}
	for _, f := range Formats() {
		if _, err := d.Format(f.Name); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	again, err := Alone(node, "solo", dir)
	if err != nil || again.Cluster.ID != d.Cluster.ID || again.Self.ID != d.Self.ID {
		t.Errorf("the next time: %+v, %v", again, err)
	}
	other, err := Alone(node, "other", dir)
	if err != nil || other.Cluster.ID == d.Cluster.ID {
		t.Errorf("of another name: %+v, %v", other, err)
	}
	if _, err := Alone(node, "no name", dir); err == nil || !strings.Contains(err.Error(), "no name") {
		t.Error(err)
	}
}
