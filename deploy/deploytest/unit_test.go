//go:build linux

package deploytest

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/guard"
)

const unitFile = "../systemd/xlreg.service"

// exposure is what systemd-analyze says of the unit, from 0 to 10. What is left is what a
// registry lives on: sockets of the network, the file system of its host, and /proc/meminfo.
const exposure = "1.1"

func TestUnitIsExposedAsLittleAsItCanBe(t *testing.T) {
	out, err := exec.Command(tool(t, "systemd-analyze"), "security", "--offline=true", "--no-pager", unitFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`Overall exposure level for xlreg.service: ([0-9.]+) `).FindSubmatch(out)
	if len(found) != 2 || string(found[1]) != exposure {
		t.Errorf("got %q, want %s, in\n%s", found, exposure, out)
	}
}

// What the unit says follows from what the program does.
func TestUnitFitsTheProgram(t *testing.T) {
	data, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	unit := string(data)
	value := func(key string) string {
		found := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(unit)
		if found == nil {
			t.Fatalf("the unit has no %s", key)
		}
		return found[1]
	}
	const stopTime = 10 * time.Second // docs/operate/start.md: it exits within ten seconds
	limits := guard.DefaultLimits()
	stop, err := time.ParseDuration(value("TimeoutStopSec"))
	if err != nil || stop < 2*stopTime || stopTime <= limits.Drain {
		t.Errorf("a stop may take %v, and the registry takes %v to drain: %v", stop, limits.Drain, err)
	}
	if got := value("LimitNOFILE"); got != "65536" || limits.Connections+limits.Refusals() > 65536 {
		t.Errorf("%s files may be open, for %d connections", got, limits.Connections)
	}
	for key, want := range map[string]string{
		"Type": "notify", "NotifyAccess": "main", "User": "xlreg", "StateDirectory": "xlreg", "LogsDirectory": "xlreg",
		"ExecStart": "/usr/bin/xlreg serve --config /etc/default/xlreg", "ExecReload": `/bin/sh -c "kill -HUP ${MAINPID}"`, "Environment": "XLREG_DATA=/var/lib/xlreg",
	} {
		if got := value(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

// The settings that a package installs are those of the program, with its defaults.
func TestSettingsAreFlags(t *testing.T) {
	data, err := os.ReadFile("../default")
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command("go", "run", "../../cmd/xlreg", "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	examples := []string{"XLREG_PUBLIC", "XLREG_HEALTH", "XLREG_HTTP", "XLREG_HTTP_HOST", "XLREG_AUDIT_LOG", "XLREG_ADMIT_FILE", "XLREG_PROXY_FROM", "XLREG_STORE", "XLREG_STORE_CA", "XLREG_STORE_USER", "XLREG_STORE_PASSWORD_FILE"}
	settings := regexp.MustCompile(`(?m)^#(XLREG_[A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(data), -1)
	for _, s := range settings {
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s[1], "XLREG_"), "_", "-"))
		line := regexp.MustCompile(`(?m)^ +--` + flag + ` .*$`).Find(help)
		if line == nil {
			t.Errorf("%s sets no flag of xlreg serve", s[1])
			continue
		}
		found := regexp.MustCompile(`\(default ["[]?(.*?)["\]]?\)$`).FindSubmatch(line)
		isExample := strings.Contains(" "+strings.Join(examples, " ")+" ", " "+s[1]+" ")
		if !isExample && (len(found) != 2 || string(found[1]) != s[2]) {
			t.Errorf("%s is given as %q: %s", s[1], s[2], line)
		}
	}
	if len(settings) < 12 {
		t.Errorf("only %d settings", len(settings))
	}
	if set := regexp.MustCompile(`(?m)^[^#\n]`).Find(data); set != nil {
		t.Error("a setting is in force, so that a change of the default would have no effect")
	}
}

// tool finds a program that `make setup` installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: run make setup", err)
	}
	return path
}
