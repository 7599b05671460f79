package bench

import "time"

// Summary is what several runs of one measurement say together. What is not known
// is negative.
type Summary struct {
	Runs          int
	Operations    int     // in all runs
	PerSecond     float64 // of the run in the middle, as are the costs
	P50, P90, P99 time.Duration
	Server        time.Duration // processor time of the server for one operation
	Client        time.Duration // and of the clients
	Memory        int64         // bytes that each has the server hold
}

// Summarize returns what samples say together.
func Summarize(samples []Sample) Summary {
	s := Summary{Runs: len(samples)}
	var all []time.Duration
	var rates []float64
	var server, client []time.Duration
	var memory []int64
	for _, one := range samples {
		n := len(one.Latencies)
		all = append(all, one.Latencies...)
		rates = append(rates, float64(n)/one.Took.Seconds())
		server = append(server, share(one.Server, n))
		client = append(client, share(one.Client, n))
		memory = append(memory, one.Memory)
	}
	s.Operations, s.PerSecond = len(all), Median(rates)
	s.P50, s.P90, s.P99 = Median(all), Percentile(all, 90), Percentile(all, 99)
	s.Server, s.Client, s.Memory = Median(server), Median(client), Median(memory)
	return s
}

// share returns what falls to one of n.
func share(d time.Duration, n int) time.Duration {
	if d < 0 || n == 0 {
		return unknown
	}
	return d / time.Duration(n)
}
