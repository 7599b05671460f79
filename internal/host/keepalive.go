package host

import "time"

// How a peer that is gone without a word is found: after some silence the system asks
// whether it is there, and then so often at most.
const (
	keepIdle     = 15 * time.Second
	keepInterval = 5 * time.Second
	keepCount    = 3
)

// deadPeer is how long a peer that does not answer the system keeps its connection.
const deadPeer = keepIdle + keepCount*keepInterval
