package linear

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/xlattice/xlreg"
)

func passes(by time.Duration) *request { return &request{verb: pass, by: by} }

func hangsUp(session int) *request { return &request{verb: hangUp, session: session} }

// staying is an arrival with a lease.
func staying(key int, run string, fresh bool, lease time.Duration, session int) *request {
	rq := arrives(key, run, fresh)
	rq.lease, rq.session = lease, session
	return rq
}

// looking is a look by a member, which is a sign of life.
func looking(key, session int) *request {
	rq := looks()
	rq.id, rq.key, rq.session = idOf(key), key, session
	return rq
}

// leased says with which lease each member of an answer is there.
func leased(a *answer, leases ...time.Duration) *answer {
	for i := range leases {
		a.stays[i].lease = leases[i]
	}
	return a
}

// at is an answer with its revision, and the lease that holds.
func at(a *answer, revision uint64, lease time.Duration) *answer {
	a.revision, a.lease = revision, lease
	return a
}

// The rules of what ends, by histories that are and that are not theirs. They begin at
// the time 1000, in milliseconds.
func TestHistoriesOfEnds(t *testing.T) {
	const ten, fifteen, minute = 10 * time.Second, 15 * time.Second, time.Minute
	one := keyedBegin().then(staying(0, "1", false, fifteen, 1), answers(1, 0))
	awaiting := keyedBegin().then(staying(0, "1", true, minute, 1), answers(1, 0))
	complete := awaiting.then(staying(1, "1", true, 0, 2), answers(1, 0))
	deleted := one.then(commands(1, xlreg.OrderDelete, 0), answers(1, 1))
	a15 := func() *answer { return leased(sees(1, 0, "a1"), fifteen) }
	aMinute := func() *answer { return leased(sees(1, 0, "a1"), minute) }
	create := &request{verb: create, modern: true, asks: ask{name: "k", size: 2, owner: "key"}}
	for name, c := range map[string]struct {
		history script
		legal   bool
	}{
		"a lease that runs":      {one.then(passes(ten), new(answer)).then(looks(), a15()), true},
		"ends early":             {one.then(passes(ten), new(answer)).then(looks(), sees(1, 0)), false},
		"ends":                   {one.then(passes(ten), new(answer)).then(passes(ten), new(answer)).then(looks(), sees(1, 0)), true},
		"never ends":             {one.then(passes(ten), new(answer)).then(passes(ten), new(answer)).then(looks(), a15()), false},
		"renewed":                {one.then(passes(ten), new(answer)).then(looking(0, 1), a15()).then(passes(ten), new(answer)).then(looks(), a15()), true},
		"renewed, and not heard": {one.then(passes(ten), new(answer)).then(looking(0, 1), a15()).then(passes(ten), new(answer)).then(looks(), sees(1, 0)), false},
		"not renewed by another": {one.then(passes(ten), new(answer)).then(looking(1, 2), a15()).then(passes(ten), new(answer)).then(looks(), a15()), false},
		"renewed by a Join":      {one.then(passes(ten), new(answer)).then(staying(0, "1", false, fifteen, 1), answers(1, 0)).then(passes(ten), new(answer)).then(looks(), a15()), true},
		"another's end":          {one.then(staying(1, "1", false, 0, 2), answers(1, 0)).then(passes(minute), new(answer)).then(looks(), leased(sees(1, 0, "", "b1"), 0, 0)), true},
		"ends with the other":    {one.then(staying(1, "1", false, 0, 2), answers(1, 0)).then(passes(minute), new(answer)).then(looks(), sees(1, 0)), false},
		"hung up":                {one.then(hangsUp(1), new(answer)).then(looks(), a15()), true},
		"hung up, and gone":      {one.then(hangsUp(1), new(answer)).then(looks(), sees(1, 0)), false},

		"revisions": {one.then(looks(), at(a15(), 1001, 0)).then(passes(ten), new(answer)).then(looks(), at(a15(), 1001, 0)).
			then(passes(ten), new(answer)).then(looks(), at(sees(1, 0), 21_000, 0)), true},
		"an end without a revision": {one.then(passes(minute), new(answer)).then(looks(), at(sees(1, 0), 1001, 0)), false},
		"a revision without cause":  {one.then(passes(ten), new(answer)).then(looks(), at(a15(), 11_000, 0)), false},
		"the same again, a revision": {one.then(passes(ten), new(answer)).
			then(staying(0, "1", false, fifteen, 1), at(answers(1, 0), 11_000, fifteen)), false},
		"another lease, a revision": {one.then(passes(ten), new(answer)).
			then(staying(0, "1", false, minute, 1), at(answers(1, 0), 11_000, minute)), true},

		"awaits for half a minute":     {awaiting.then(passes(29*time.Second), new(answer)).then(looks(), aMinute()), true},
		"awaits no longer":             {awaiting.then(passes(31*time.Second), new(answer)).then(looks(), sees(1, 0)), true},
		"outlives its end":             {awaiting.then(passes(31*time.Second), new(answer)).then(looks(), aMinute()), false},
		"goes with its connection":     {awaiting.then(hangsUp(1), new(answer)).then(looks(), sees(1, 0)), true},
		"stays without its connection": {awaiting.then(hangsUp(1), new(answer)).then(looks(), aMinute()), false},
		"goes with another's":          {awaiting.then(hangsUp(2), new(answer)).then(looks(), sees(1, 0)), false},
		"all have come":                {complete.then(hangsUp(1), new(answer)).then(passes(31*time.Second), new(answer)).then(looks(), leased(sees(1, 0, "a1", "b1"), minute, 0)), true},
		"all have come, and one goes":  {complete.then(hangsUp(1), new(answer)).then(looks(), leased(sees(1, 0, "", "b1"), 0, 0)), false},
		"the lease that holds":         {keyedBegin().then(staying(0, "1", true, minute, 1), at(answers(1, 0), 1001, 30*time.Second)), true},
		"the lease that does not":      {keyedBegin().then(staying(0, "1", true, minute, 1), at(answers(1, 0), 1001, minute)), false},
		"the dead do not count": {awaiting.then(passes(minute), new(answer)).then(staying(1, "1", true, 0, 2), answers(1, 0)).
			then(staying(2, "1", true, 0, 3), answers(1, 0)), true},
		"the dead count": {awaiting.then(passes(minute), new(answer)).then(staying(1, "1", true, 0, 2), answers(1, 0)).
			then(staying(2, "1", true, 0, 3), answers(2, 0)), false},

		"deleted":                 {deleted.then(looks(), refused(xlreg.ErrNoSuchClusterID)), true},
		"deleted, and seen":       {deleted.then(looks(), answers(1, 1)), false},
		"deleted, and told again": {deleted.then(commands(1, xlreg.OrderDelete, 0), answers(1, 1)), true},
		"deleted, and ordered":    {deleted.then(commands(2, xlreg.OrderReopen, 0), refused(xlreg.ErrNoSuchClusterID)), true},
		"deleted, and reopened":   {deleted.then(commands(2, xlreg.OrderReopen, 0), answers(2, 2)), false},
		"a stone":                 {deleted.then(create, refused(xlreg.ErrNotAdmitted)), true},
		"no stone":                {deleted.then(create, answers(1, 0)), false},
		"deleted, and joined":     {deleted.then(staying(0, "1", false, 0, 1), answers(1, 1)), false},
	} {
		want := map[bool]porcupine.CheckResult{true: porcupine.Ok, false: porcupine.Illegal}[c.legal]
		if got := verdict(rules{self: registryID, start: 1000}, c.history, checkTime); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
