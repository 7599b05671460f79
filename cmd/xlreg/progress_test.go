package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A registry that has four addresses fails in four ways, many times a second. A log is told
// each of them once.
func TestALogIsToldEachTroubleOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		told := make(map[string]int)
		for i := range 400 {
			text := fmt.Sprintf("dial address %d: connection refused", i%4)
			if h.isNews(text) {
				told[text]++
			}
			<-time.After(70 * time.Millisecond)
		}
		if want := 4; len(told) != want {
			t.Errorf("told: %v", told)
		}
		for text, times := range told {
			if times != 1 {
				t.Errorf("%s: told %d times", text, times)
			}
		}
	})
}

// Troubles that are never the same, as they name the port of each connection, are told ever
// less often.
func TestALogIsNotFloodedByPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		told := 0
		for port := range 3600 {
			if h.isNews(fmt.Sprintf("read from port %d: connection reset", port)) {
				told++
			}
			<-time.After(time.Second)
		}
		if most := mostHeard + int(time.Hour/againTime); told < mostHeard || told > most {
			t.Errorf("told %d of them in an hour, want at most %d", told, most)
		}
	})
}
