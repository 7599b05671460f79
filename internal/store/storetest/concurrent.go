package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

func concurrentCases() []testCase {
	return []testCase{
		{"LowestFreeSeat", testLowestFreeSeat},
		{"ViewsAreConsistent", testViewsAreConsistent},
		{"ReadYourWrites", testReadYourWrites},
		{"FailuresAmongOthers", testFailuresAmongOthers},
		{"SkewOfReads", testSkewOfReads},
		{"SkewOfAdded", testSkewOfAdded},
		{"SkewOfRemoved", testSkewOfRemoved},
		{"SkewOfReplaced", testSkewOfReplaced},
		{"ContextEndsOnTheWay", testContextEndsOnTheWay},
	}
}

// number reads a number that is kept under key; none counts as zero.
func number(r store.Reader, key string) (int, error) {
	value, ok, err := find(r, key)
	if err != nil || !ok {
		return 0, err
	}
	return strconv.Atoi(value)
}

// count adds one to the number under key.
func count(key string) call {
	return func(w store.Writer) error {
		n, err := number(w, key)
		if err != nil {
			return err
		}
		return w.Put(key, strconv.AppendInt(nil, int64(n)+1, 10))
	}
}

func seatKey(i int) string { return fmt.Sprintf("team/%02d", i) }

// takeLowest is a small Join: it takes the lowest free seat of so many for holder n.
func takeLowest(seats, n int, index *int) call {
	return func(w store.Writer) error {
		*index = 0
		for item, err := range w.Scan("team/") {
			if err != nil {
				return err
			}
			if item.Key != seatKey(*index) {
				break
			}
			*index++
		}
		linger() // so that two take the same one, unless the driver sees to it
		if *index >= seats {
			return errOnPurpose
		}
		return all(put(seatKey(*index), strconv.Itoa(n)), count("team/"))(w)
	}
}

func testLowestFreeSeat(t *testing.T, s store.Store) {
	const seats, late = 64, 6 // late find no seat
	indexes := make([]int, seats+late)
	errs := make([]error, len(indexes))
	var wg sync.WaitGroup
	for n := range indexes {
		wg.Go(func() { errs[n] = s.Update(t.Context(), takeLowest(seats, n, &indexes[n])) })
	}
	wg.Wait()

	want := make([]string, seats)
	refused := 0
	for n, err := range errs {
		switch {
		case err == nil:
			want[indexes[n]] = seatKey(indexes[n]) + "=" + strconv.Itoa(n)
		case errors.Is(err, errOnPurpose):
			refused++
		default:
			t.Fatalf("Update: %v", err)
		}
	}
	if refused != late {
		t.Errorf("%d refused, want %d", refused, late)
	}
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantScan(r, "team/", want...), wantValue(r, "team/", strconv.Itoa(seats)))
	})
}

// Whoever looks sees all of an Update or nothing, and never goes back in time.
func testViewsAreConsistent(t *testing.T, s store.Store) {
	const rounds = 200
	update(t, s, put("team/", "0"))
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- takeTurns(t.Context(), s, rounds) })
	for range 2 {
		wg.Go(func() {
			for last := 0; last < rounds; {
				err := s.View(t.Context(), func(r store.Reader) (err error) {
					last, err = agree(r, last)
					return err
				})
				runtime.Gosched()
				if err != nil {
					t.Errorf("View: %v", err)
					return
				}
			}
		})
	}
	if err := receive(t, done, "end of the updates"); err != nil {
		t.Errorf("Update: %v", err)
	}
	wg.Wait()
}

// takeTurns takes and frees two seats, both or none of which are taken. Round n
// leaves the number n at the guard, and the two seats taken if n is odd.
func takeTurns(ctx context.Context, s store.Store, rounds int) error {
	rest := func(store.Writer) error { runtime.Gosched(); return nil } // for others to look
	for n := 1; n <= rounds; n++ {
		change := all(remove(seatKey(1)), rest, remove(seatKey(2)))
		if n%2 == 1 {
			change = all(put(seatKey(1), strconv.Itoa(n)), rest, put(seatKey(2), strconv.Itoa(n)))
		}
		if err := s.Update(ctx, all(change, rest, put("team/", strconv.Itoa(n)))); err != nil {
			return err
		}
	}
	return nil
}

// agree returns the number of the round that r shows, which is not before last.
func agree(r store.Reader, last int) (int, error) {
	n, err := number(r, "team/")
	if err != nil {
		return last, err
	}
	if n < last {
		return last, fmt.Errorf("round %d after round %d", n, last)
	}
	if n%2 == 0 {
		return n, errors.Join(wantScan(r, "team/"), wantNone(r, seatKey(1)))
	}
	value := strconv.Itoa(n)
	return n, errors.Join(wantValue(r, seatKey(2), value), wantScan(r, "team/", seatKey(1)+"="+value, seatKey(2)+"="+value))
}

func testReadYourWrites(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			key := seatKey(g)
			for i := range 20 {
				change := all(put("team/", "guard"), put(key, strconv.Itoa(i)))
				look := func(r store.Reader) error { return wantValue(r, key, strconv.Itoa(i)) }
				if i%4 == 3 {
					change = all(put("team/", "guard"), remove(key))
					look = func(r store.Reader) error { return errors.Join(wantNone(r, key), wantScan(r, key)) }
				}
				err := s.Update(t.Context(), change)
				if err == nil {
					err = s.View(t.Context(), look)
				}
				if err != nil {
					t.Errorf("round %d of %d: %v", i, g, err)
				}
			}
		})
	}
	wg.Wait()
}

// Of Updates that run at one time, those that fail or panic leave the others be.
func testFailuresAmongOthers(t *testing.T, s store.Store) {
	const each = 20
	var wg sync.WaitGroup
	for n := range 3 * each {
		wg.Go(func() {
			defer func() {
				if got := recover(); (got != nil) != (n%3 == 2) {
					t.Errorf("%d recovered %v", n, got)
				}
			}()
			err := s.Update(t.Context(), all(put(seatKey(n), "v"), put("team/", "guard"), count("n"), misbehave(n%3)))
			if errors.Is(err, errOnPurpose) != (n%3 == 1) {
				t.Errorf("%d returned %v", n, err)
			}
		})
	}
	wg.Wait()
	view(t, s, func(r store.Reader) error {
		errs := []error{wantValue(r, "n", strconv.Itoa(each))}
		for n := range 3 * each {
			if n%3 == 0 {
				errs = append(errs, wantValue(r, seatKey(n), "v"))
				continue
			}
			errs = append(errs, wantNone(r, seatKey(n)))
		}
		return errors.Join(errs...)
	})
}

func misbehave(how int) call {
	return func(store.Writer) error {
		switch how {
		case 1:
			return errOnPurpose
		case 2:
			panic(errOnPurpose)
		}
		return nil
	}
}

// duel is two closures of which each acts only if it does not see what the other
// does. Run at one time, one of them sees the other and does not act, whatever the
// order. Each round is fought below a prefix of its own.
type duel struct {
	before        func(p string) call
	first, second func(w store.Writer, p string) (acted bool, err error)
}

func (d duel) fight(t *testing.T, s store.Store) {
	const rounds = 60
	for i := range rounds {
		p := fmt.Sprintf("round%02d/", i)
		update(t, s, d.before(p))
		var met meeting
		var acted [2]bool
		var wg sync.WaitGroup
		for n, f := range []func(store.Writer, string) (bool, error){d.first, d.second} {
			wg.Go(func() {
				err := s.Update(t.Context(), func(w store.Writer) (err error) {
					acted[n], err = f(w, p)
					met.wait()
					if n == i%2 {
						linger()
					}
					return err
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
			})
		}
		wg.Wait()
		if acted[0] == acted[1] {
			t.Fatalf("round %d: acted %v, want one of them", i, acted)
		}
	}
}

// meeting is where two closures wait for each other, for a moment: drivers that run
// closures at one time run these two at one time, and all others lose little by it.
type meeting struct{ here atomic.Int32 }

func (m *meeting) wait() {
	m.here.Add(1)
	for range 1000 {
		if m.here.Load() > 1 {
			return
		}
		runtime.Gosched()
	}
}

// linger lets others be first.
func linger() {
	for range 100 {
		runtime.Gosched()
	}
}

// unless does c if there is no value under key.
func unless(key string, c call) func(store.Writer, string) (bool, error) {
	return func(w store.Writer, p string) (bool, error) {
		_, found, err := find(w, p+key)
		if err != nil || found {
			return false, err
		}
		return true, c(below{w, p})
	}
}

// ifScanned puts the record that unless looks for, if the scan finds what is wanted.
func ifScanned(want ...string) func(store.Writer, string) (bool, error) {
	return func(w store.Writer, p string) (bool, error) {
		found, err := list(w, p+"scanned/")
		if err != nil || strings.Join(found, " ") != strings.ReplaceAll(strings.Join(want, " "), "scanned/", p+"scanned/") {
			return false, err
		}
		return true, w.Put(p+"first", []byte("acted"))
	}
}

// below writes below a prefix.
type below struct {
	store.Writer
	prefix string
}

func (b below) Put(key string, value []byte) error { return b.Writer.Put(b.prefix+key, value) }
func (b below) Delete(key string) error            { return b.Writer.Delete(b.prefix + key) }

func prepared(calls ...call) func(string) call {
	return func(p string) call {
		return func(w store.Writer) error { return all(calls...)(below{w, p}) }
	}
}

func testSkewOfReads(t *testing.T, s store.Store) {
	duel{
		before: prepared(),
		first:  unless("second", put("first", "acted")),
		second: unless("first", put("second", "acted")),
	}.fight(t, s)
}

func testSkewOfAdded(t *testing.T, s store.Store) {
	duel{
		before: prepared(),
		first:  ifScanned(),
		second: unless("first", all(put("scanned/x", "v"), put("scanned/", "guard"))),
	}.fight(t, s)
}

func testSkewOfRemoved(t *testing.T, s store.Store) {
	duel{
		before: prepared(put("scanned/", "guard"), put("scanned/x", "v")),
		first:  ifScanned("scanned/x=v"),
		second: unless("first", all(remove("scanned/x"), put("scanned/", "guard"))),
	}.fight(t, s)
}

// A key that stays is replaced without its guard: what a scan yields is read.
func testSkewOfReplaced(t *testing.T, s store.Store) {
	duel{
		before: prepared(put("scanned/", "guard"), put("scanned/x", "v")),
		first:  ifScanned("scanned/x=v"),
		second: unless("first", put("scanned/x", "another")),
	}.fight(t, s)
}

// An Update whose context ends inside it is answered in one of three ways, and its
// closure changes things at most once.
func testContextEndsOnTheWay(t *testing.T, s store.Store) {
	const updates = 40
	errs := make([]error, updates)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			errs[n] = s.Update(ctx, all(count("team/"), put(seatKey(n), "v"), func(store.Writer) error {
				cancel()
				return nil
			}))
		})
	}
	wg.Wait()
	update(t, s, count("n"))
	view(t, s, func(r store.Reader) error {
		seats, err := list(r, "team/")
		if err != nil {
			return err
		}
		for n, answer := range errs {
			err = errors.Join(err, wantAnswered(r, n, answer))
		}
		kept, numberErr := number(r, "team/")
		if kept != len(seats) {
			err = errors.Join(err, fmt.Errorf("%d Updates kept, but counted %d", len(seats), kept))
		}
		return errors.Join(err, numberErr)
	})
}

// wantAnswered looks at what is left of Update n, whose context ended, and which
// returned answer.
func wantAnswered(r store.Reader, n int, answer error) error {
	switch {
	case answer == nil:
		return wantValue(r, seatKey(n), "v")
	case !errors.Is(answer, context.Canceled):
		return fmt.Errorf("%d returned %w, want that its context was ended", n, answer)
	case errors.Is(answer, store.ErrUnknown):
		return nil
	}
	return wantNone(r, seatKey(n))
}
