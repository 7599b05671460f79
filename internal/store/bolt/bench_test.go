package bolt

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkUpdate makes new nodes from so many goroutines at a time.
func BenchmarkUpdate(b *testing.B) {
	for _, parallel := range []int{1, 64} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) { benchmarkUpdate(b, parallel) })
	}
}

func benchmarkUpdate(b *testing.B, parallel int) {
	s := openTemp(b)
	before := commits(b, s.driver)
	work := make(chan int)
	var failed atomic.Int64
	done := make(chan struct{}, parallel)
	b.ResetTimer()
	for range parallel {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := range work {
				if s.Update(b.Context(), putNode(n)) != nil {
					failed.Add(1)
				}
			}
		}()
	}
	for n := range b.N {
		work <- n
	}
	close(work)
	for range parallel {
		<-done
	}
	b.StopTimer()
	if n := failed.Load(); n != 0 {
		b.Fatalf("%d Updates failed", n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	b.ReportMetric(float64(commits(b, s.driver)-before)/float64(b.N), "commits/update")
}
