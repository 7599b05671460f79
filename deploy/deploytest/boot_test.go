//go:build linux

package deploytest

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPackage builds the package of this machine's architecture twice, and lives through
// what an administrator does with it, and what the page for administrators tells them to do.
func TestPackage(t *testing.T) {
	needRoot(t)
	here, there := copySource(t), copySource(t)
	first, second := pack(t, here, "deb", "sums"), pack(t, there, "deb", "sums")
	deb := onlyFile(t, first, ".deb")

	t.Run("reproducible", func(t *testing.T) {
		sameBytes(t, deb, onlyFile(t, second, ".deb"))
		sameBytes(t, onlyFile(t, first, "SHA256SUMS"), onlyFile(t, second, "SHA256SUMS"))
	})
	t.Run("lintian", func(t *testing.T) {
		out := command(t, "lintian", "--allow-root", "--fail-on", "error,warning", deb)
		if strings.TrimSpace(out) != "" {
			t.Error(out)
		}
	})
	d := startDebian(t, append(signed(t, first), deb, nextRevision(t, deb))...)
	d.run(t, "mv xlreg_*-1_*.deb 1.deb; echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/yes")
	t.Run("life", func(t *testing.T) {
		firstStart(t, d)
		cluster(t, d)
		reload(t, d)
		crash(t, d)
		upgrade(t, d)
		heldPort(t, d)
		disabled(t, d)
		removed(t, d)
		purged(t, d)
	})
	t.Run("page", func(t *testing.T) { page(t, d) })
}

// nextRevision makes the package that follows one, with the same content.
func nextRevision(t *testing.T, deb string) string {
	t.Helper()
	dir := t.TempDir()
	files, next := filepath.Join(dir, "files"), filepath.Join(dir, "2.deb")
	command(t, "dpkg-deb", "--raw-extract", deb, files)
	command(t, "sed", "-i", "s/^\\(Version: .*\\)-1$/\\1-2/", files+"/DEBIAN/control")
	command(t, "dpkg-deb", "--root-owner-group", "-Znone", "--build", files, next)
	return next
}

const credFile = "/var/lib/xlreg/regCred.dat"

// The registry runs as soon as it is installed, as a user who can do nothing else.
func firstStart(t *testing.T, d *debian) {
	d.run(t, "apt-get install ./1.deb")
	d.want(t, "active", "systemctl is-active xlreg")
	d.want(t, "enabled", "systemctl is-enabled xlreg")
	d.want(t, "disabled", "systemctl is-enabled xlreg.socket || true")
	d.want(t, "0", "systemctl show --property NRestarts --value xlreg")
	d.want(t, "700 xlreg xlreg", "stat --format '%a %U %G' /var/lib/xlreg")
	d.want(t, "xlreg", "stat --format %U /proc/$(systemctl show --property MainPID --value xlreg)")
	status := d.run(t, "cat /proc/$(systemctl show --property MainPID --value xlreg)/status")
	for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("the process does not have %q:\n%s", want, status)
		}
	}
	if lines := d.run(t, "xlreg cred url "+credFile); !strings.HasPrefix(lines, "xlreg://192.0.2.10:56789/") {
		t.Errorf("clients are told %s", lines)
	}
	d.run(t, "bash -ic 'source /usr/share/bash-completion/completions/xlreg; complete -p xlreg' 2>/dev/null")
}

// Two users who have the registry's line form a cluster.
func cluster(t *testing.T, d *debian) {
	d.run(t, `useradd --create-home alice
		useradd --create-home bob
		export XLREG_REGISTRY=$(xlreg cred url `+credFile+`)
		join() { runuser --user "$1" -- xlreg join demo --create --size 2 --node "/home/$1/node" --name "$1" --endpoint "$2" --wait 1m; }
		join alice 192.0.2.10:7001 &
		join bob 192.0.2.10:7002
		wait $!`)
	isThere(t, d)
}

// isThere makes sure that the registry still has the cluster.
func isThere(t *testing.T, d *debian) {
	t.Helper()
	out := d.run(t, "xlreg get demo --registry "+credFile)
	if !strings.Contains(out, "2 of 2 members") || !strings.Contains(out, "alice") || !strings.Contains(out, "bob") {
		t.Errorf("the cluster is %s", out)
	}
}

// A reload keeps the process, and takes over what the administrator has changed.
func reload(t *testing.T, d *debian) {
	before := d.mainProcess(t)
	d.run(t, "echo XLREG_MAX_CLUSTERS=4321 >>/etc/default/xlreg; systemctl reload xlreg")
	d.run(t, "xlreg admin limits | grep 'max-clusters .* 4321 '")
	d.run(t, "sed -i '$d' /etc/default/xlreg; systemctl reload xlreg; xlreg admin limits | grep 'max-clusters .* 1000000 '")
	d.want(t, "active", "systemctl is-active xlreg")
	if after := d.mainProcess(t); after != before || after == 0 {
		t.Errorf("process %d has become %d", before, after)
	}
}

// What is killed is started again, and has its data.
func crash(t *testing.T, d *debian) {
	before := d.mainProcess(t)
	d.run(t, "systemctl kill --kill-who main --signal KILL xlreg")
	until(t, "the registry is back", func() error {
		_, err := d.try("systemctl is-active xlreg && test $(systemctl show --property MainPID --value xlreg) != " + strconv.Itoa(before))
		return err
	})
	isThere(t, d)
}

// An upgrade starts the new program, and keeps settings and data.
func upgrade(t *testing.T, d *debian) {
	d.run(t, "echo XLREG_PUBLIC=registry.example.org:56789 >>/etc/default/xlreg; systemctl restart xlreg")
	before := d.mainProcess(t)
	d.run(t, "apt-get install ./2.deb")
	d.want(t, "active", "systemctl is-active xlreg")
	d.want(t, "enabled", "systemctl is-enabled xlreg")
	if after := d.mainProcess(t); after == before || after == 0 {
		t.Errorf("process %d has become %d", before, after)
	}
	if line := d.run(t, "xlreg cred url "+credFile); !strings.HasPrefix(line, "xlreg://registry.example.org:56789/") {
		t.Errorf("clients are told %s", line)
	}
	d.run(t, "sed -i '$d' /etc/default/xlreg; systemctl restart xlreg")
	isThere(t, d)
}

// systemd can hold the port, and starts the registry for the first client.
func heldPort(t *testing.T, d *debian) {
	d.run(t, "systemctl stop xlreg; systemctl enable --now xlreg.socket")
	d.want(t, "inactive", "systemctl is-active xlreg || true")
	isThere(t, d)
	d.want(t, "active", "systemctl is-active xlreg")
	d.run(t, "systemctl disable --now xlreg.socket; systemctl restart xlreg")
}

// What the administrator has switched off stays so.
func disabled(t *testing.T, d *debian) {
	d.run(t, "systemctl disable --now xlreg; apt-get install --allow-downgrades ./1.deb")
	d.want(t, "disabled", "systemctl is-enabled xlreg || true")
	d.want(t, "inactive", "systemctl is-active xlreg || true")
	d.run(t, "systemctl start xlreg; apt-get install ./2.deb")
	d.want(t, "disabled", "systemctl is-enabled xlreg || true")
	d.want(t, "active", "systemctl is-active xlreg")
}

// Without the package the data and the settings are still there, for when it comes back.
func removed(t *testing.T, d *debian) {
	d.run(t, "echo '# mine' >>/etc/default/xlreg; apt-get remove xlreg")
	if d.exists(t, "usr/bin/xlreg") || !d.exists(t, "etc/default/xlreg") || !d.exists(t, "var/lib/xlreg/xlreg.db") {
		t.Error("the program is there, or settings or data are not")
	}
	d.run(t, "apt-get install ./2.deb")
	d.want(t, "disabled", "systemctl is-enabled xlreg || true")
	d.want(t, "# mine", "tail --lines 1 /etc/default/xlreg")
	d.run(t, "systemctl enable --now xlreg; apt-get remove xlreg; apt-get install ./2.deb")
	d.want(t, "active", "systemctl is-active xlreg")
	isThere(t, d)
}

// Nothing is left in the end.
func purged(t *testing.T, d *debian) {
	d.run(t, "apt-get purge xlreg")
	d.want(t, "", "getent passwd xlreg || true")
	d.want(t, "", "grep --line-regexp --files-with-matches xlreg /proc/[0-9]*/comm || true")
	d.want(t, "", "find / -xdev -name '*xlreg*' -not -path '/root/*' -not -path '/home/*' -not -path '/proc/*' -not -path '/sys/*'")
}
