package run

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Holder says which program has a TCP port of this machine, addr being host:port, as
// "etcd (pid 4242)". Of programs of other users only root finds out.
func Holder(addr string) string {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return unknownHolder
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return unknownHolder
	}
	links := make(map[string]bool) // what the files of whoever has the port point to
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		for _, inode := range socketsOn(table, uint16(port)) {
			links["socket:["+inode+"]"] = true
		}
	}
	if len(links) == 0 {
		return unknownHolder
	}
	return holderOf(links)
}

// socketsOn returns the inodes of sockets with a local port, those that listen first.
func socketsOn(table string, port uint16) []string {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	const listening = "0A"
	var listeners, others []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[9] == "0" || !strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		if fields[3] == listening {
			listeners = append(listeners, fields[9])
			continue
		}
		others = append(others, fields[9])
	}
	if len(listeners) > 0 {
		return listeners
	}
	return others
}

// holderOf returns the program that has one of these sockets open.
func holderOf(links map[string]bool) string {
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return unknownHolder
	}
	i := slices.IndexFunc(files, func(file string) bool {
		link, err := os.Readlink(file)
		return err == nil && links[link]
	})
	if i < 0 {
		return unknownHolder
	}
	process := filepath.Dir(filepath.Dir(files[i]))
	name, err := os.ReadFile(filepath.Join(process, "comm"))
	if err != nil {
		return unknownHolder // it has just ended
	}
	return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), filepath.Base(process))
}
