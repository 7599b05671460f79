//go:build linux

package deploytest

import (
	"archive/zip"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

// TestRelease builds everything that is released, twice, and tries it out. It takes many
// minutes, so it runs by `make package-test`.
func TestRelease(t *testing.T) {
	if os.Getenv("XLREG_LONG") == "" {
		t.Skip("takes minutes: set XLREG_LONG=1, or run make package-test")
	}
	dir := t.TempDir()
	t.Log(command(t, "bash", "../reproduce.sh", dir))
	t.Run("complete", func(t *testing.T) { complete(t, dir) })
	t.Run("archives", func(t *testing.T) { archives(t, dir) })
	t.Run("sbom", func(t *testing.T) { sbom(t, dir) })
	t.Run("sums", func(t *testing.T) { sums(t, dir) })
	t.Run("python", func(t *testing.T) { python(t, dir) })
	t.Run("ruby", func(t *testing.T) { ruby(t, dir) })
	t.Run("rpm", func(t *testing.T) { rpm(t, dir) })
}

var systems = []string{"linux", "darwin", "windows", "freebsd"}

// complete makes sure that nothing is missing, and nothing is there that has no purpose.
func complete(t *testing.T, dir string) {
	v := xlreg.Release
	want := []string{
		"SHA256SUMS", "xlreg-" + v + ".gem", "xlreg-" + v + ".tar.gz", "xlreg-" + v + "-py3-none-any.whl",
		"xlreg-" + v + "-1.x86_64.rpm", "xlreg-" + v + "-1.aarch64.rpm", "xlreg_" + v + "-1_amd64.deb", "xlreg_" + v + "-1_arm64.deb",
	}
	for _, arch := range []string{"amd64", "arm64"} {
		want = append(want, fmt.Sprintf("xlreg-%s-linux-%s.oci.tar", v, arch))
		for _, system := range systems {
			name := fmt.Sprintf("xlreg-%s-%s-%s", v, system, arch)
			want = append(want, name+".cdx.json", name+suffix(system))
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func suffix(system string) string {
	if system == "windows" {
		return ".zip"
	}
	return ".tar.gz"
}

// archives unpacks each archive, and looks at the program in it; this machine's is run.
func archives(t *testing.T, dir string) {
	for _, system := range systems {
		for _, arch := range []string{"amd64", "arm64"} {
			folder := fmt.Sprintf("xlreg-%s-%s-%s", xlreg.Release, system, arch)
			to := t.TempDir()
			if system == "windows" {
				command(t, "unzip", "-q", filepath.Join(dir, folder+".zip"), "-d", to)
				checkZip(t, filepath.Join(dir, folder+".zip"))
			} else {
				command(t, "tar", "-C", to, "-xzf", filepath.Join(dir, folder+".tar.gz"))
			}
			name := "xlreg"
			if system == "windows" {
				name += ".exe"
			}
			inside := filepath.Join(to, folder)
			for _, file := range []string{"LICENSE", "README.md", "CHANGELOG.md", "man/xlreg-serve.1.gz", "completions/_xlreg", "completions/xlreg.bash", "completions/xlreg.fish", "completions/xlreg.ps1"} {
				if info, err := os.Stat(filepath.Join(inside, file)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %s: %v", folder, file, err)
				}
			}
			program := filepath.Join(inside, name)
			if got := machineOf(program); got != system+" "+arch && !(system == "freebsd" && got == "linux "+arch) {
				t.Errorf("%s holds a program for %s", folder, got)
			}
			if system == runtime.GOOS && arch == runtime.GOARCH {
				if got := outputOf(t, program, "--version"); got != "xlreg "+xlreg.Release+"\n" {
					t.Errorf("it says %q", got)
				}
			}
		}
	}
}

func checkZip(t *testing.T, path string) {
	t.Helper()
	z, err := zip.OpenReader(path)
	must(t, err)
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasPrefix(f.Name, "xlreg-") || f.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s: %s %v", path, f.Name, f.Mode())
		}
	}
}

// outputOf is command for a program that is not on the path.
func outputOf(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out)
}

// machineOf returns for which system and architecture a program is; Linux stands for all
// that have ELF.
func machineOf(path string) string {
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		return "linux " + map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[f.Machine]
	}
	if f, err := macho.Open(path); err == nil {
		defer f.Close()
		return "darwin " + map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu]
	}
	if f, err := pe.Open(path); err == nil {
		defer f.Close()
		return "windows " + map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine]
	}
	return "no machine"
}

// sbom makes sure that the list of modules has the ones that matter.
func sbom(t *testing.T, dir string) {
	for _, system := range systems {
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("xlreg-%s-%s-arm64.cdx.json", xlreg.Release, system)))
		must(t, err)
		var list struct {
			BOMFormat string
			Metadata  struct {
				Component struct{ Name, Version string }
			}
			Components []struct{ Name, PURL string }
		}
		must(t, json.Unmarshal(data, &list))
		names := make(map[string]bool)
		for _, c := range list.Components {
			names[c.Name] = c.PURL != ""
		}
		if list.BOMFormat != "CycloneDX" || list.Metadata.Component.Name != "github.com/xlattice/xlreg" || list.Metadata.Component.Version != xlreg.Release ||
			!names["go.etcd.io/bbolt"] || !names["golang.org/x/crypto"] {
			t.Errorf("%s: %+v %v", system, list.Metadata, names)
		}
	}
}

// sums signs the checksums, and verifies them as docs/install.md says; what was changed
// afterwards does not pass.
func sums(t *testing.T, dir string) {
	key := filepath.Join(t.TempDir(), "key")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	must(t, err)
	copied := t.TempDir()
	command(t, "cp", "-r", dir+"/.", copied)
	commandIn(t, "../..", []string{"OUT=" + copied, "SIGN_KEY=" + key}, "bash", "deploy/package.sh", "sums")
	must(t, os.WriteFile(filepath.Join(copied, "signers"), append([]byte("xlreg "), public...), 0o600))
	verify := func() error {
		cmd := exec.Command("bash", "-euc", "ssh-keygen -Y verify -f signers -I xlreg -n file -s SHA256SUMS.sig <SHA256SUMS && sha256sum --quiet --check SHA256SUMS")
		cmd.Dir = copied
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	must(t, verify())
	for _, file := range []string{"SHA256SUMS", "xlreg-" + xlreg.Release + ".gem"} {
		path := filepath.Join(copied, file)
		data, err := os.ReadFile(path)
		must(t, err)
		changed := slices.Clone(data)
		changed[len(changed)/2] ^= 1
		must(t, os.WriteFile(path, changed, 0o600))
		if verify() == nil {
			t.Errorf("a changed %s passes", file)
		}
		must(t, os.WriteFile(path, data, 0o600))
	}
}

// python installs the wheel, and the sdist, each into an environment of its own.
func python(t *testing.T, dir string) {
	venv := os.Getenv("VENV")
	if venv == "" {
		venv = "../../clients/python/.venv"
	}
	sdist, wheel := filepath.Join(dir, "xlreg-"+xlreg.Release+".tar.gz"), onlyFile(t, dir, ".whl")
	if out, err := exec.Command(venv+"/bin/twine", "check", "--strict", sdist, wheel).CombinedOutput(); err != nil {
		t.Errorf("twine check: %v\n%s", err, out)
	}
	for _, file := range []string{wheel, sdist} {
		to := t.TempDir()
		command(t, "python3", "-m", "venv", to)
		outputOf(t, to+"/bin/pip", "install", "--quiet", "--disable-pip-version-check", file)
		if got := outputOf(t, to+"/bin/python", "-c", "import xlreg; print(xlreg.__version__)"); got != xlreg.Release+"\n" {
			t.Errorf("%s: version %q", file, got)
		}
		if got := outputOf(t, to+"/bin/xlreg-py", "--help"); !strings.Contains(got, "xlreg-py") {
			t.Errorf("%s: %s", file, got)
		}
	}
}

// ruby installs the gem into a directory of its own, where Debian's google-protobuf serves it.
func ruby(t *testing.T, dir string) {
	gem, to := onlyFile(t, dir, ".gem"), t.TempDir()
	command(t, "gem", "install", "--local", "--ignore-dependencies", "--no-document", "--install-dir", to, gem)
	env := []string{"GEM_PATH=" + to + ":" + strings.TrimSpace(command(t, "ruby", "-e", "puts Gem.path.join(':')"))}
	got := commandIn(t, to, env, "ruby", "-e", "gem 'xlreg'; require 'xlreg'; print Xlreg::VERSION")
	if got != xlreg.Release {
		t.Errorf("version %q", got)
	}
	if got := commandIn(t, to, env, to+"/bin/xlreg-rb", "--version"); !strings.Contains(got, xlreg.Release) {
		t.Errorf("xlreg-rb says %s", got)
	}
}

// rpm installs the rpm into a Debian's files, where rpm itself is not needed: its scripts
// have to work without a systemd that runs, as in an image.
func rpm(t *testing.T, dir string) {
	needRoot(t)
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	file, root := onlyFile(t, dir, arch+".rpm"), t.TempDir()
	command(t, "tar", "-C", root, "-xf", debianRoot(t))
	call := func(args ...string) string {
		t.Helper()
		return command(t, "rpm", append([]string{"--root", root, "--nodeps"}, args...)...)
	}
	call("--install", file)
	if got := command(t, "chroot", root, "getent", "passwd", "xlreg"); !strings.Contains(got, "/var/lib/xlreg") {
		t.Errorf("the user is %s", got)
	}
	if got := command(t, "chroot", root, "/usr/bin/xlreg", "--version"); got != "xlreg "+xlreg.Release+"\n" {
		t.Errorf("it says %q", got)
	}
	if got := command(t, "rpm", "--query", "--package", "--configfiles", "--nosignature", file); got != "/etc/default/xlreg\n/etc/logrotate.d/xlreg\n" {
		t.Errorf("settings are %q", got)
	}
	must(t, os.WriteFile(root+"/etc/default/xlreg", []byte("XLREG_NAME=mine\n"), 0o644))
	call("--erase", "xlreg")
	if _, err := os.Stat(root + "/usr/bin/xlreg"); !os.IsNotExist(err) {
		t.Errorf("the program is still there: %v", err)
	}
	if kept, err := os.ReadFile(root + "/etc/default/xlreg.rpmsave"); err != nil || string(kept) != "XLREG_NAME=mine\n" {
		t.Errorf("the settings are %q, %v", kept, err)
	}
}
