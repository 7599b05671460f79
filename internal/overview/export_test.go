package overview

// The bounds, for tests that meet them.
const (
	RingLen  = ringLen
	BatchLen = batchLen
	MaxLooks = maxLooks
)
