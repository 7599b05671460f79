package guard

// tally counts what is there at the moment, in all and by source. Whoever has one
// guards it.
type tally struct {
	total    int
	bySource map[Source]int // none is zero
}

func newTally() tally { return tally{bySource: make(map[Source]int)} }

// add counts one more and reports true, unless that would be more than most in all
// or more than mostOfSource from its source.
func (t *tally) add(from Source, most, mostOfSource int) bool {
	if t.total >= most || t.bySource[from] >= mostOfSource {
		return false
	}
	t.total++
	t.bySource[from]++
	return true
}

func (t *tally) remove(from Source) {
	t.total--
	if t.bySource[from]--; t.bySource[from] == 0 {
		delete(t.bySource, from)
	}
}
