package storetest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/internal/store/storetest/optimistic"
)

// The test binary runs itself with the name of a broken driver here.
const childDriver = "XLREG_TEST_STORETEST_DRIVER"

// broken is a driver that breaks one sentence of the contract, and the case of the
// suite that must notice.
type broken struct {
	fails string
	hangs bool // what the case waits for never comes, so it is given little time
	open  func() store.Store
}

func brokenDrivers() map[string]broken {
	return map[string]broken{
		"get misses own writes":        {fails: "ReadsOwnWrites", open: twistWriter(blindGet)},
		"scan misses own writes":       {fails: "ScansOwnWrites", open: twistWriter(blindScan)},
		"scan out of order":            {fails: "ScanOrder", open: twistScan(backwards)},
		"prefix is yielded":            {fails: "ScanPrefix", open: twistScan(withPrefix)},
		"neighbours are yielded":       {fails: "ScanPrefix", open: twistScan(withNeighbours)},
		"scan ends at the last byte":   {fails: "AnyBytes", open: twistScan(endAtFF)},
		"deleted keys are scanned":     {fails: "Delete", open: undead},
		"deleting nothing is an error": {fails: "Delete", open: twistWriter(fussyDelete)},
		"reads are not counted":        {fails: "MaxReads", open: bound(freeReads)},
		"writes are not counted":       {fails: "MaxWrites", open: bound(freeWrites)},
		"bytes are not counted":        {fails: "MaxBytes", open: bound(freeBytes)},
		"scans are counted":            {fails: "ScansAreFree", open: twistScan(counted)},
		"long keys are taken":          {fails: "Keys", open: bound(unbound)},
		"empty values are taken":       {fails: "EmptyValue", open: bound(unbound)},

		"errors are wrapped":              {fails: "ErrorUndoes", open: twistUpdate(wrapError)},
		"a failed closure is kept":        {fails: "ErrorUndoes", open: twistUpdate(keepFailed)},
		"half of a panic is kept":         {fails: "PanicUndoes", open: twistUpdate(keepPanic)},
		"a failure takes others along":    {fails: "FailuresAmongOthers", open: twistUpdate(forgetAfterFailure())},
		"an ended context is not noticed": {fails: "EndedContext", open: twistUpdate(ignoreContext)},
		"run again after unknown outcome": {fails: "ContextEndsOnTheWay", open: twistUpdate(retryUnknown)},
		"unknown without its cause":       {fails: "ContextEndsOnTheWay", open: twistUpdate(hideCause)},
		"changes by halves":               {fails: "ViewsAreConsistent", open: twistUpdate(byHalves)},
		"seen before the commit":          {fails: "ViewsAreConsistent", open: twistUpdate(atOnce)},
		"views of some time ago":          {fails: "ReadYourWrites", open: oldViews},
		"answers before the commit":       {fails: "ReadYourWrites", open: hasty},

		"no lock and no comparison":     {fails: "LowestFreeSeat", open: careless(compareNothing)},
		"reads are not compared":        {fails: "SkewOfReads", open: careless(compareScans)},
		"guards are not compared":       {fails: "SkewOfAdded", open: careless(compareYielded)},
		"scans are not compared":        {fails: "SkewOfRemoved", open: careless(compareReads)},
		"scanned values not compared":   {fails: "SkewOfReplaced", open: careless(compareGuards)},
		"watch begins without a word":   {fails: "WatchBegins", hangs: true, open: twistWatch(silentStart)},
		"missed news is not told":       {fails: "WatchOverwhelmed", hangs: true, open: twistWatch(onlyOneZero)},
		"news without values":           {fails: "WatchBringsValues", open: twistWatch(noValues)},
		"news of the value before":      {fails: "WatchBringsValues", open: twistWatch(lateValues)},
		"news of everything":            {fails: "WatchPrefix", open: twistWatch(anyPrefix)},
		"news before View shows it":     {fails: "WatchAfterView", open: herald(tellFirst)},
		"news of what was not kept":     {fails: "WatchWhatIsKept", open: herald(tellFailed)},
		"news twice at a time":          {fails: "WatchOneAtATime", open: twistWatch(twiceAtATime)},
		"watch fails with its context":  {fails: "WatchEnds", open: twistWatch(contextError)},
		"watch swallows an error":       {fails: "WatchFails", open: twistWatch(swallow)},
		"watch does not say it is over": {fails: "WatchClosed", open: twistWatch(silentEnd)},
		"open for ever":                 {fails: "Closed", open: func() store.Store { return &neverClosed{Store: memory.New()} }},
	}
}

// sound are the drivers that the broken ones are made of.
func sound() map[string]broken {
	return map[string]broken{
		"memory":     {open: func() store.Store { return memory.New() }},
		"optimistic": {open: func() store.Store { return group.New(optimistic.NewBackend().Driver()) }},
		"servers":    {open: careless(compareAll)},
		"update":     {open: twistUpdate(plainUpdate)},
		"bound":      {open: bound(func(own *store.Overlay) store.Writer { return &store.Bounded{Writer: own} })},
	}
}

// Each sentence of the contract has a case that notices when it is broken. So that
// its failure is none of this test's, each runs in a process of its own.
func TestBrokenDrivers(t *testing.T) {
	drivers := brokenDrivers()
	if name := os.Getenv(childDriver); name != "" {
		storetest.Run(t, func(*testing.T) store.Store { return drivers[name].open() })
		return
	}
	for name, b := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := "1m"
			if b.hangs {
				timeout = "20s"
			}
			out, err := runCase(t, name, b.fails, timeout)
			if err == nil || !strings.Contains(out, "--- FAIL: TestBrokenDrivers/"+b.fails) {
				t.Errorf("%s does not notice: %v\n%s", b.fails, err, out)
			}
		})
	}
}

func runCase(t *testing.T, driver, name, timeout string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestBrokenDrivers$/^"+name+"$", "-test.timeout="+timeout)
	cmd.Env = append(os.Environ(), childDriver+"="+driver)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What breaks the broken drivers is what was broken in them, and nothing else.
func TestSoundDrivers(t *testing.T) {
	for name, b := range sound() {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) store.Store { return b.open() })
		})
	}
}

// A driver that keeps nothing does not pass for one that does.
func TestForgetfulDriver(t *testing.T) {
	if os.Getenv(childDriver) != "" {
		storetest.RunDurable(t, func(*testing.T, string) store.Store { return memory.New() })
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestForgetfulDriver$/^Reopen(AfterBusyClose)?$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), childDriver+"=forgetful")
	out, err := cmd.CombinedOutput()
	for _, name := range []string{"Reopen", "ReopenAfterBusyClose"} {
		if err == nil || !strings.Contains(string(out), "--- FAIL: TestForgetfulDriver/"+name+" ") {
			t.Errorf("%s does not notice: %v\n%s", name, err, out)
		}
	}
}
