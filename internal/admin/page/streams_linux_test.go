package page_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/page"
)

// BenchmarkStreams measures what 200 browsers cost, of CPU, while 1,000 things change in
// a second: one that looks at the overview, one that looks at a list, and so on.
func BenchmarkStreams(b *testing.B) {
	for _, streams := range []int{0, 200} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) { benchmarkStreams(b, streams) })
	}
}

func benchmarkStreams(b *testing.B, streams int) {
	r := admintest.New(nil)
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = r.Create(fmt.Sprintf("cluster-%d", i), 4)
	}
	server := newServer(b, page.New(page.Config{Source: r, Logger: quiet}))
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	ends := make(chan error, streams)
	for i := range streams {
		path := []string{"/events/overview", "/events/clusters", "/events/clusters/" + ids[i], "/events/clusters?state=forming"}[i%4]
		answer, err := client.Get(server.URL + path)
		if err != nil || answer.StatusCode != http.StatusOK {
			b.Fatal(answer, err)
		}
		defer answer.Body.Close()
		go func() { ends <- drain(answer.Body) }()
	}
	began, changes := cpu(b), 0
	for b.Loop() {
		for tick := time.Tick(10 * time.Millisecond); ; {
			<-tick
			for range 10 {
				change(r, ids, changes)
				changes++
			}
			if changes%1000 == 0 {
				break
			}
		}
	}
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.StopTimer()
	server.CloseClientConnections()
	for range streams {
		<-ends
	}
}

// cpu returns what this process has used so far.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
