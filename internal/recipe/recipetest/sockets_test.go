package recipetest

import (
	"os"
	"path/filepath"
	"strings"
)

// Where Linux tells of sockets, and how its addresses look that are on the loopback
// interface: four bytes at a time are the wrong way round.
const (
	tcpSockets      = "/proc/net/tcp*"
	listening       = "0A"
	loopback4       = "7F"
	loopback6       = "00000000000000000000000001000000"
	loopback4In6    = "0000000000000000FFFF0000"
	addressOf4      = len("0100007F")
	stateOf, inodes = 3, 9 // columns
)

// listensElsewhere returns the processes that have dir in their command or environment and listen
// at an address that is not on the loopback interface.
func listensElsewhere(dir string) []string {
	elsewhere := make(map[string]string)
	tables, _ := filepath.Glob(tcpSockets)
	for _, path := range tables {
		table, _ := os.ReadFile(path)
		for line := range strings.Lines(string(table)) {
			columns := strings.Fields(line)
			if len(columns) > inodes && columns[stateOf] == listening && !isLoopback(columns[1]) {
				elsewhere["socket:["+columns[inodes]+"]"] = columns[1]
			}
		}
	}
	var found []string
	for _, process := range processesOf(dir) {
		pid, _, _ := strings.Cut(process, " ")
		open, _ := filepath.Glob("/proc/" + pid + "/fd/*")
		for _, fd := range open {
			socket, _ := os.Readlink(fd) // it may be closed by now
			if at, is := elsewhere[socket]; is {
				found = append(found, at+": "+process)
			}
		}
	}
	return found
}

// isLoopback reads an address and a port as Linux shows them.
func isLoopback(local string) bool {
	address, _, _ := strings.Cut(local, ":")
	if len(address) == addressOf4 || strings.HasPrefix(address, loopback4In6) {
		return strings.HasSuffix(address, loopback4)
	}
	return address == loopback6
}
