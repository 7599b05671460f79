package bench

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// anonymousMemory returns the bytes of anonymous memory that this process has
// resident: what it allocated, without the files that it has mapped.
func anonymousMemory() (int64, error) {
	f, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 1 && fields[0] == "Anonymous:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no line Anonymous: in smaps_rollup: %w", lines.Err())
}
