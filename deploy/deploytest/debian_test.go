//go:build linux

package deploytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// debian is a Debian that systemd has started in namespaces of this machine. It has a
// network of its own, in which it is 192.0.2.10.
type debian struct {
	root string
	boot *exec.Cmd
	init string // process ID of its systemd
	log  bytes.Buffer
}

// bootTime is what the slowest machine may need to start or stop one.
const bootTime = 2 * time.Minute

// needRoot leaves a test out where there can be no machines.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts a Debian in namespaces")
	}
}

// startDebian starts a fresh Debian, with these files in /root.
func startDebian(t *testing.T, files ...string) *debian {
	t.Helper()
	d := &debian{root: filepath.Join(t.TempDir(), "root")}
	must(t, os.Mkdir(d.root, 0o755))
	command(t, "tar", "-C", d.root, "-xf", debianRoot(t))
	command(t, "cp", append(files, filepath.Join(d.root, "root"))...)
	ctx, cancel := context.WithCancel(context.Background())
	d.boot = exec.CommandContext(ctx, tool(t, "systemd-nspawn"), "--quiet", "--register=no", "--keep-unit", "--private-network",
		"--console=pipe", fmt.Sprintf("--machine=xlreg-%d", os.Getpid()), "--directory", d.root, "--boot")
	d.boot.Stdout, d.boot.Stderr = &d.log, &d.log
	d.boot.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the test
	must(t, d.boot.Start())
	t.Cleanup(func() {
		d.stop(t)
		cancel()
	})
	until(t, "systemd is up", func() error {
		if d.init == "" {
			d.init = systemdOf(d.boot.Process.Pid)
		}
		if d.init == "" {
			return errors.New("there is no systemd yet")
		}
		_, err := d.try("systemctl is-system-running --wait")
		return err
	})
	d.plugIn(t)
	return d
}

// debianRoot returns an archive of a Debian as small as can be started, with what a person
// needs who installs a package: sudo, and ssh-keygen to verify it.
func debianRoot(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../dist/cache/bookworm.tar")
	must(t, err)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	part := path + ".part"
	command(t, "mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,sudo,openssh-client",
		"--aptopt=APT::Install-Recommends \"false\"", "bookworm", part, "http://deb.debian.org/debian")
	must(t, os.Rename(part, path))
	return path
}

// systemdOf returns the process that is the first of its machine, among those that
// systemd-nspawn has started; "" if there is none yet.
func systemdOf(nspawn int) string {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn, nspawn))
	if err != nil {
		return ""
	}
	for _, pid := range strings.Fields(string(children)) {
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err == nil && regexp.MustCompile(`(?m)^NSpid:\t[0-9]+\t1$`).Match(status) {
			return pid
		}
	}
	return ""
}

// plugIn gives the machine an address that is not loopback.
func (d *debian) plugIn(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"link", "add", "eth0", "type", "veth", "peer", "name", "eth1"},
		{"link", "set", "eth0", "up"},
		{"link", "set", "eth1", "up"},
		{"address", "add", "192.0.2.10/24", "dev", "eth0"},
	} {
		command(t, "nsenter", append([]string{"--target", d.init, "--net", "ip"}, args...)...)
	}
}

// try runs a script as root, in /root, and returns what it printed.
func (d *debian) try(script string) (string, error) {
	cmd := exec.Command("nsenter", "--target", d.init, "--all", "--wdns=/root", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "bash", "-euc", script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s\n%s", err, script, out)
	}
	return strings.TrimSpace(string(out)), err
}

// run is try for a script that has to succeed.
func (d *debian) run(t *testing.T, script string) string {
	t.Helper()
	out, err := d.try(script)
	if err != nil {
		journal, _ := d.try("journalctl --no-pager --unit xlreg --lines 40")
		t.Fatalf("%v\n%s", err, journal)
	}
	return out
}

// want runs a script that has to print exactly that.
func (d *debian) want(t *testing.T, want, script string) {
	t.Helper()
	if got := d.run(t, script); got != want {
		t.Errorf("%s: got %q, want %q", script, got, want)
	}
}

// stop ends the machine, as its power button would.
func (d *debian) stop(t *testing.T) {
	if d.init != "" {
		_, _ = d.try("systemctl poweroff")
	}
	ended := make(chan error, 1)
	go func() { ended <- d.boot.Wait() }()
	select {
	case err := <-ended:
		if err != nil || t.Failed() {
			t.Logf("the machine ended with %v:\n%s", err, d.log.String())
		}
	case <-time.After(bootTime):
		t.Error("the machine does not stop")
		_ = d.boot.Process.Kill()
		<-ended
	}
}

// exists reports whether a file is on the machine's disk.
func (d *debian) exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(filepath.Join(d.root, path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// mainProcess returns the process that the service is; 0 if it does not run.
func (d *debian) mainProcess(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(d.run(t, "systemctl show --property MainPID --value xlreg"))
	must(t, err)
	return pid
}

// until asks again until there is no error.
func until(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.After(bootTime)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waiting until %s: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// command runs a program that has to succeed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	return commandIn(t, "", nil, name, args...)
}

func commandIn(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
