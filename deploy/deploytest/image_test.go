//go:build linux

package deploytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestImage starts the image, and forms a cluster with the registry that is in it.
func TestImage(t *testing.T) {
	needRoot(t)
	source := copySource(t)
	out := pack(t, source, "image")
	image := onlyFile(t, out, ".oci.tar")
	buildah := containers(t)
	name := strings.TrimSpace(buildah("from", "--pull-never", "--quiet", "oci-archive:"+image))
	config := strings.TrimSpace(buildah("inspect", "--format", "{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}} {{.OCIv1.Config.Volumes}}", name))
	if want := "65532:65532 [/usr/bin/xlreg] [serve] map[/var/lib/xlreg:{}]"; config != want {
		t.Errorf("got %q, want %q", config, want)
	}
	root := strings.TrimSpace(buildah("mount", name))
	if got := listed(t, root); got != "etc/passwd usr/bin/xlreg" {
		t.Errorf("files in the image: %s", got)
	}

	// As a container engine would start it, but on a port that nobody chose before.
	data := root + "/var/lib/xlreg"
	cmd := exec.Command("/usr/bin/xlreg", "serve", "--listen", "127.0.0.1:0", "--output", "json")
	cmd.Dir, cmd.Env = "/", []string{"XLREG_DATA=/var/lib/xlreg"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			t.Errorf("the registry ended with %v", err)
		}
	})
	var open struct{ URL string }
	must(t, json.NewDecoder(bufio.NewReader(stdout)).Decode(&open))
	formed := demoCluster(t, root+"/usr/bin/xlreg", open.URL)
	if !strings.Contains(formed, "2 of 2 members") {
		t.Errorf("formed %s", formed)
	}
	if info, err := os.Stat(filepath.Join(data, "sig.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the registry's keys: %v, %v", info, err)
	}
}

// containers returns how to call buildah on a storage that goes with the test.
func containers(t *testing.T) func(args ...string) string {
	t.Helper()
	dir := t.TempDir()
	common := []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}
	return func(args ...string) string {
		t.Helper()
		return command(t, "buildah", append(common, args...)...)
	}
}

// listed returns the files below a directory.
func listed(t *testing.T, root string) string {
	t.Helper()
	return strings.TrimSpace(strings.Join(strings.Fields(commandIn(t, root, nil, "find", ".", "-type", "f", "-printf", "%P\n")), " "))
}

// demoCluster has two members join a cluster, and returns what one of them was told.
func demoCluster(t *testing.T, xlreg, registry string) string {
	t.Helper()
	dir := t.TempDir()
	join := func(name string) *exec.Cmd {
		return exec.Command(xlreg, "join", "demo", "--create", "--size", "2", "--registry", registry, "--node", filepath.Join(dir, name),
			"--name", name, "--endpoint", fmt.Sprintf("127.0.0.1:%d", 7000+len(name)), "--wait", "1m")
	}
	other := join("alice")
	must(t, other.Start())
	out, err := join("bob").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, other.Wait())
	return string(out)
}
