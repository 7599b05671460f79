// Package deploytest installs, upgrades and removes what deploy builds, on a Debian that
// systemd has started, in tests alone.
package deploytest
