package linear

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/xlattice/xlreg"
)

// registryID is the registry's own in histories made by hand.
const registryID xlreg.NodeID = "R"

// script is a history made by hand. IDs in it are single letters, for people.
type script []porcupine.Operation

// then adds a request that is asked and answered after all that came before.
func (s script) then(rq *request, a *answer) script {
	at := int64(2 * len(s))
	return append(slices.Clip(s), porcupine.Operation{Input: rq, Output: a, Call: at, Return: at + 1})
}

// meanwhile adds a request that was asked no later than the one before began, and
// answered no sooner than it ended.
func (s script) meanwhile(rq *request, a *answer) script {
	last := s[len(s)-1]
	return append(slices.Clip(s), porcupine.Operation{Input: rq, Output: a, Call: last.Call, Return: last.Return})
}

// lost adds a request whose answer never came.
func (s script) lost(rq *request) script {
	return append(slices.Clip(s), porcupine.Operation{
		Input: rq, Output: &answer{lost: true}, Call: int64(2 * len(s)), Return: math.MaxInt64,
	})
}

// killed adds a request whose answer a kill took: it ends before all that follows.
func (s script) killed(rq *request) script { return s.then(rq, &answer{lost: true}) }

// Requests and answers, in few words.

func said(name xlreg.Name, key int) node { return node{name: name, key: key, ends: "e"} }

func registers(id xlreg.NodeID, n node) *request { return &request{verb: register, id: id, node: n} }

func logsIn(id xlreg.NodeID, key int) *request {
	return &request{verb: logIn, id: id, node: node{key: key}}
}

func creates(name xlreg.Name, size uint32) *request {
	return &request{verb: create, asks: ask{name: name, size: size}}
}

func joins(id xlreg.NodeID) *request {
	return &request{verb: join, id: id, ref: xlreg.ClusterRef{Name: "c"}}
}

func leaves(id xlreg.NodeID) *request {
	return &request{verb: leave, id: id, ref: xlreg.ClusterRef{Name: "c"}}
}

func reads() *request { return &request{verb: get, ref: xlreg.ClusterRef{Name: "c"}} }

func known(id xlreg.NodeID) *answer { return &answer{id: id} }

func refused(k xlreg.Kind) *answer { return &answer{kind: k} }

// c2 is the cluster of two that most scripts are about.
func c2() xlreg.Cluster { return xlreg.Cluster{ID: "C", Name: "c", MaxSize: 2, EndpointCount: 1} }

func done() *answer { return &answer{cluster: c2()} }

func left() *answer { return &answer{cluster: xlreg.Cluster{ID: "C", Name: "c"}} }

func shows(seats ...seat) *answer { return &answer{cluster: c2(), seats: seats} }

// begin is a cluster c of two, and the nodes A, B and D with names a, b and d, A and D
// with the same key.
func begin() script {
	return script{}.
		then(registers("", said("a", 0)), known("A")).
		then(registers("", said("b", 1)), known("B")).
		then(registers("", said("d", 0)), known("D")).
		then(creates("c", 2), done())
}

func seatOf(id xlreg.NodeID) seat {
	return map[xlreg.NodeID]seat{
		"A": {"A", said("a", 0)}, "B": {"B", said("b", 1)}, "D": {"D", said("d", 0)},
	}[id]
}

func TestLegalHistories(t *testing.T) {
	a, b, free := seatOf("A"), seatOf("B"), seat{}
	for name, s := range map[string]script{
		"nothing":               {},
		"one after the other":   begin().then(joins("A"), done()).then(joins("B"), done()).then(reads(), shows(a, b)),
		"two at once":           begin().then(joins("A"), done()).meanwhile(joins("B"), done()).then(reads(), shows(b, a)),
		"again":                 begin().then(joins("A"), done()).then(joins("A"), done()).then(reads(), shows(a)),
		"a race for the last":   begin().then(joins("A"), done()).then(joins("B"), done()).meanwhile(joins("D"), refused(xlreg.ErrClusterFull)),
		"left and free":         begin().then(joins("A"), done()).then(joins("B"), done()).then(leaves("A"), left()).then(reads(), shows(free, b)),
		"log in":                begin().then(logsIn("A", 0), known("A")).then(logsIn("A", 1), refused(xlreg.ErrBadSignature)).then(logsIn("X", 0), refused(xlreg.ErrBadSignature)),
		"created before":        begin().then(creates("c", 9), done()),
		"an ID of another key":  begin().then(registers("A", said("a", 1)), refused(xlreg.ErrIDInUse)),
		"the registry's ID":     begin().then(registers(registryID, said("a", 1)), refused(xlreg.ErrIDInUse)),
		"a cluster's ID":        begin().then(registers("C", said("a", 1)), refused(xlreg.ErrIDInUse)),
		"an ID of one's own":    begin().then(registers("X", said("x", 1)), known("X")).then(logsIn("X", 1), known("X")),
		"seen too early or not": begin().then(joins("A"), done()).meanwhile(reads(), shows()).meanwhile(reads(), shows(a)),
		"the old token": begin().then(joins("A"), done()).then(registers("A", said("x", 0)), known("A")).
			then(reads(), shows(a)),
		"the new token": begin().then(joins("A"), done()).then(registers("A", said("x", 0)), known("A")).
			then(joins("A"), done()).then(reads(), shows(seat{"A", said("x", 0)})),
		"taken over": begin().then(joins("A"), done()).then(joins("B"), done()).
			then(registers("", said("a", 0)), known("X")).then(joins("X"), done()).then(reads(), shows(seat{"X", said("a", 0)}, b)),
		"not taken over": begin().then(joins("A"), done()).
			then(registers("", said("a", 1)), known("X")).then(joins("X"), refused(xlreg.ErrMemberNameInUse)),

		"lost and done":            begin().lost(joins("A")).then(reads(), shows(a)),
		"lost and never done":      begin().lost(joins("A")).then(joins("B"), done()).then(reads(), shows(b)),
		"lost and done later":      begin().lost(joins("A")).then(reads(), shows()).then(reads(), shows(a)),
		"killed and done":          begin().killed(joins("A")).then(reads(), shows(a)),
		"killed and not done":      begin().killed(joins("A")).then(reads(), shows()),
		"killed, as good as again": begin().killed(joins("A")).then(joins("A"), done()).then(reads(), shows(a)),
		"killed, known by the next": begin().killed(leaves("A")).killed(joins("A")).killed(joins("B")).
			then(leaves("A"), refused(xlreg.ErrNotMember)).then(reads(), shows(b)),
		"killed creation": script{}.killed(creates("c", 2)).
			then(registers("", said("a", 0)), known("A")).then(joins("A"), done()).then(reads(), shows(a)),
		"killed creation of another size": script{}.killed(creates("c", 3)).
			then(registers("", said("a", 0)), known("A")).then(creates("c", 2), done()),
		"killed creation, killed join": script{}.killed(creates("c", 2)).
			then(registers("", said("a", 0)), known("A")).killed(joins("A")).then(leaves("A"), left()),
		"killed name": begin().killed(registers("A", said("b", 0))).then(joins("B"), done()).
			then(joins("A"), refused(xlreg.ErrMemberNameInUse)),
	} {
		t.Run(name, func(t *testing.T) {
			if got := verdict(rules{self: registryID}, s, checkTime); got != porcupine.Ok {
				t.Errorf("%v: see %s", got, draw(t, rules{self: registryID}, s))
			}
		})
	}
}

func TestIllegalHistories(t *testing.T) {
	a, b, d, free := seatOf("A"), seatOf("B"), seatOf("D"), seat{}
	two := begin().then(joins("A"), done()).then(joins("B"), done())
	for name, s := range map[string]script{
		"one index for two":           begin().then(joins("A"), done()).then(joins("B"), done()).then(reads(), shows(b)),
		"one index for two in turns":  begin().then(joins("A"), done()).then(reads(), shows(a)).then(joins("B"), done()).then(reads(), shows(b, free)),
		"index changed":               two.then(logsIn("A", 0), known("A")).then(joins("A"), done()).then(reads(), shows(b, a)),
		"index not the lowest":        begin().then(joins("A"), done()).then(reads(), shows(free, a)),
		"an answered join forgotten":  begin().then(joins("A"), done()).then(reads(), shows()),
		"a member forgotten":          two.then(reads(), shows(a, b)).then(reads(), shows(a)),
		"a leave forgotten":           two.then(leaves("A"), left()).then(reads(), shows(a, b)),
		"a node forgotten":            begin().then(logsIn("A", 0), refused(xlreg.ErrBadSignature)),
		"a cluster forgotten":         begin().then(joins("A"), refused(xlreg.ErrNoSuchClusterName)),
		"a registration forgotten":    begin().then(registers("A", said("x", 0)), known("A")).then(joins("A"), done()).then(reads(), shows(a)),
		"over its size":               two.then(joins("D"), done()),
		"over its size in the roster": two.lost(joins("D")).then(reads(), shows(a, b, d)),
		"full with room":              begin().then(joins("A"), done()).then(joins("B"), refused(xlreg.ErrClusterFull)),
		"a race that both win":        begin().then(joins("A"), done()).then(joins("B"), done()).meanwhile(joins("D"), done()),
		"a race that nobody wins":     begin().then(joins("A"), done()).then(joins("B"), refused(xlreg.ErrClusterFull)).meanwhile(joins("D"), refused(xlreg.ErrClusterFull)),
		"another ID for a node":       begin().then(registers("A", said("a", 0)), known("X")),
		"another ID at log-in":        begin().then(logsIn("A", 0), known("X")),
		"one ID for two nodes":        begin().then(registers("", said("x", 1)), known("A")),
		"a cluster's ID for a node":   begin().then(registers("", said("x", 1)), known("C")),
		"the registry's for a node":   begin().then(registers("", said("x", 1)), known(registryID)),
		"an ID for another key":       begin().then(registers("A", said("a", 1)), known("A")),
		"another key logs in":         begin().then(logsIn("A", 1), known("A")),
		"nobody logs in":              begin().then(logsIn("X", 1), known("X")),
		"a node's ID for a cluster":   begin().then(creates("x", 2), &answer{cluster: xlreg.Cluster{ID: "A", Name: "x", MaxSize: 2, EndpointCount: 1}}),
		"another ID for a cluster":    begin().then(creates("c", 2), &answer{cluster: xlreg.Cluster{ID: "X", Name: "c", MaxSize: 2, EndpointCount: 1}}),
		"another size":                begin().then(creates("c", 3), &answer{cluster: xlreg.Cluster{ID: "C", Name: "c", MaxSize: 3, EndpointCount: 1}}),
		"a size out of range":         begin().then(creates("x", 65), &answer{cluster: xlreg.Cluster{ID: "X", Name: "x", MaxSize: 65, EndpointCount: 1}}),
		"a name taken":                begin().then(joins("A"), done()).then(registers("", said("a", 1)), known("X")).then(joins("X"), done()),
		"the new token too early":     begin().then(joins("A"), done()).then(registers("A", said("x", 0)), known("A")).then(reads(), shows(seat{"A", said("x", 0)})),
		"no take-over":                two.then(registers("", said("a", 0)), known("X")).then(joins("X"), refused(xlreg.ErrClusterFull)),
		"back in time":                begin().then(joins("A"), done()).meanwhile(reads(), shows(a)).then(reads(), shows()),
		"seen before it was asked":    begin().then(reads(), shows(a)).then(joins("A"), done()),
		"too few endpoints":           begin().then(registers("A", node{name: "a"}), known("A")).then(joins("A"), done()),
		"a proof that is another's":   begin().then(registers("A", node{"a", 0, "e", "p"}), known("A")).then(joins("A"), done()).then(reads(), shows(seat{"A", node{"a", 0, "e", "q"}})),

		"lost, seen and gone":         begin().lost(joins("A")).then(reads(), shows(a)).then(reads(), shows()),
		"lost, but not by this":       begin().lost(joins("A")).then(reads(), shows(b)),
		"killed and risen":            begin().killed(joins("A")).then(reads(), shows()).then(reads(), shows(a)),
		"killed, and half of it done": begin().killed(joins("A")).then(reads(), shows()).then(joins("B"), done()).then(reads(), shows(free, b)),
		"two lost, in the wrong order": begin().killed(joins("A")).killed(joins("B")).
			then(reads(), shows(b, a)),
		"killed creation with two IDs": script{}.killed(creates("c", 2)).then(creates("c", 2), done()).
			then(creates("c", 2), &answer{cluster: xlreg.Cluster{ID: "X", Name: "c", MaxSize: 2, EndpointCount: 1}}),
		"killed creation of another size": script{}.killed(creates("c", 3)).
			then(creates("c", 4), done()),
	} {
		t.Run(name, func(t *testing.T) {
			if got := verdict(rules{self: registryID}, s, checkTime); got != porcupine.Illegal {
				t.Errorf("verdict %v on what breaks the rules", got)
			}
		})
	}
}

// What has nothing in common is checked apart, and what has is not.
func TestPartition(t *testing.T) {
	s := begin().
		then(registers("", said("a", 0)), known("E")).
		then(creates("other", 2), &answer{cluster: xlreg.Cluster{ID: "O", Name: "other", MaxSize: 2, EndpointCount: 1}})
	if got := len(partition(s)); got != 6 {
		t.Errorf("%d parts of four nodes and two clusters that have not met", got)
	}
	s = s.then(joins("A"), done()).then(joins("B"), done()).then(joins("D"), refused(xlreg.ErrClusterFull))
	if got := len(partition(s)); got != 3 {
		t.Errorf("%d parts where three nodes and a cluster have met", got)
	}
	s = s.then(reads(), shows(seatOf("A"), seat{"E", said("a", 0)}))
	if got := len(partition(s)); got != 2 {
		t.Errorf("%d parts where a fourth node is in the roster", got)
	}
	total := 0
	for _, part := range partition(s) {
		total += len(part)
	}
	if total != len(s) {
		t.Errorf("%d requests in the parts of %d", total, len(s))
	}
}

// A picture has all requests in it, those without an answer too.
func TestDraw(t *testing.T) {
	path := draw(t, rules{self: registryID}, begin().lost(joins("A")).then(reads(), shows(seatOf("B"))))
	defer os.Remove(path)
	picture, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"join c by A: no answer", "0=B", "register a with key 0"} {
		if !strings.Contains(string(picture), want) {
			t.Errorf("no %q in the picture", want)
		}
	}
}

// A kill ends what was under way, and only that.
func TestLostAnswersEndWithTheRegistry(t *testing.T) {
	rec := newRecorder()
	rec.end(0, 1, joins("A"), &answer{lost: true})
	rec.end(0, 1, reads(), &answer{lost: true})
	rec.end(0, 1, registers("", said("a", 0)), &answer{lost: true})
	rec.died()
	rec.end(0, rec.deaths[0]+1, joins("B"), &answer{lost: true})
	history := rec.history()
	if len(history) != 2 {
		t.Fatalf("%d requests, want the joins alone", len(history))
	}
	if got := history[0].Return; got != rec.deaths[0] {
		t.Errorf("what was asked before the kill ends at %d, want %d", got, rec.deaths[0])
	}
	if got := history[1].Return; got != math.MaxInt64 {
		t.Errorf("what was asked after it ends at %d, want never", got)
	}
}

// Over 2.0: a cluster of two with a key, and the keys 0 to 2, each with its node.

func modernly(name xlreg.Name, key int) node {
	return node{name: name, key: key, ends: "e", proof: "p"}
}

func keyedCluster() xlreg.Cluster {
	return xlreg.Cluster{ID: "K", Name: "k", Key: "key", MaxSize: 2, EndpointCount: 1}
}

func answers(epoch, orders uint64) *answer {
	return &answer{cluster: keyedCluster(), told: told{epoch: epoch, orders: orders}}
}

func arrives(key int, run string, fresh bool) *request {
	return &request{
		verb: join, id: idOf(key), modern: true, key: key, run: run, fresh: fresh, ref: xlreg.ClusterRef{ID: "K", Key: "key"},
	}
}

func idOf(key int) xlreg.NodeID { return xlreg.NodeID("ABD"[key : key+1]) }

func comesIn(key int, name xlreg.Name) *request {
	return &request{verb: register, modern: true, key: key, node: modernly(name, key)}
}

func commands(serial uint64, kind xlreg.OrderKind, key int) *request {
	return &request{verb: order, modern: true, ref: xlreg.ClusterRef{ID: "K"}, orders: edict{kind, serial, key}}
}

func looks() *request { return &request{verb: get, modern: true, ref: xlreg.ClusterRef{ID: "K"}} }

func sees(epoch, orders uint64, names ...string) *answer {
	a := answers(epoch, orders)
	for _, name := range names {
		if name == "" {
			a.seats, a.stays = append(a.seats, seat{}), append(a.stays, stay{})
			continue
		}
		key := int(name[0] - 'a')
		a.seats, a.stays = append(a.seats, seat{idOf(key), modernly(xlreg.Name(name[:1]), key)}), append(a.stays, stay{run: name[1:]})
	}
	return a
}

func keyedBegin() script {
	return script{}.
		then(comesIn(0, "a"), known("A")).then(comesIn(1, "b"), known("B")).then(comesIn(2, "c"), known("D")).
		then(&request{verb: create, modern: true, asks: ask{name: "k", size: 2, owner: "key"}}, answers(1, 0))
}

// The rules of epochs, runs and orders, by histories that are and that are not theirs.
func TestHistoriesOfEpochsAndOrders(t *testing.T) {
	whole := keyedBegin().then(arrives(0, "1", true), answers(1, 0)).then(arrives(1, "1", true), answers(1, 0))
	for name, c := range map[string]struct {
		history script
		legal   bool
	}{
		"all come":                   {whole.then(looks(), sees(1, 0, "a1", "b1")), true},
		"a new start":                {whole.then(arrives(0, "2", true), answers(2, 0)).then(looks(), sees(2, 0, "a2")), true},
		"a new start that is none":   {whole.then(arrives(0, "2", true), answers(1, 0)), false},
		"the last start is seen":     {whole.then(arrives(0, "2", true), answers(2, 0)).then(looks(), sees(2, 0, "a2", "b1")), false},
		"again is no new start":      {whole.then(arrives(0, "1", true), answers(1, 0)), true},
		"a stranger waits":           {whole.then(arrives(2, "1", true), refused(xlreg.ErrClusterFull)).then(looks(), sees(1, 0, "a1", "b1")), true},
		"a stranger opens":           {whole.then(arrives(2, "1", true), answers(2, 0)), false},
		"displaced":                  {whole.then(arrives(0, "2", true), answers(2, 0)).then(arrives(2, "2", true), answers(2, 0)).then(looks(), sees(2, 0, "a2", "c2")), true},
		"not displaced":              {whole.then(arrives(0, "2", true), answers(2, 0)).then(arrives(2, "2", false), refused(xlreg.ErrClusterFull)), true},
		"a twin":                     {whole.then(arrives(0, "2", false), answers(1, 0)).then(arrives(0, "1", false), refused(xlreg.ErrMemberIDInUse)), true},
		"a twin that comes back":     {whole.then(arrives(0, "2", false), answers(1, 0)).then(arrives(0, "1", false), answers(1, 0)), false},
		"no run replaces none":       {whole.then(arrives(0, "", false), answers(1, 0)).then(looks(), sees(1, 0, "a1", "b1")), true},
		"evicted":                    {whole.then(commands(1, xlreg.OrderEvict, 0), answers(1, 1)).then(looks(), sees(1, 1, "", "b1")), true},
		"evicted and seen":           {whole.then(commands(1, xlreg.OrderEvict, 0), answers(1, 1)).then(looks(), sees(1, 1, "a1", "b1")), false},
		"the same order again":       {whole.then(commands(1, xlreg.OrderEvict, 0), answers(1, 1)).then(commands(1, xlreg.OrderEvict, 0), answers(1, 1)), true},
		"another with its serial":    {whole.then(commands(1, xlreg.OrderEvict, 0), answers(1, 1)).then(commands(1, xlreg.OrderEvict, 1), answers(1, 1)), false},
		"orders have changed":        {whole.then(commands(1, xlreg.OrderEvict, 0), answers(1, 1)).then(commands(1, xlreg.OrderEvict, 1), refused(xlreg.ErrOrdersChanged)), true},
		"banned":                     {whole.then(commands(1, xlreg.OrderBan, 0), answers(1, 1)).then(arrives(0, "1", false), refused(xlreg.ErrNotAdmitted)), true},
		"banned and back":            {whole.then(commands(1, xlreg.OrderBan, 0), answers(1, 1)).then(arrives(0, "1", false), answers(1, 1)), false},
		"reopened":                   {whole.then(commands(1, xlreg.OrderReopen, 0), answers(2, 1)).then(arrives(2, "1", false), answers(2, 1)).then(looks(), sees(2, 1, "c1")), true},
		"reopened, with seats":       {whole.then(commands(1, xlreg.OrderReopen, 0), answers(2, 1)).then(looks(), sees(2, 1, "a1")), false},
		"a lost order, done":         {whole.lost(commands(1, xlreg.OrderEvict, 0)).then(looks(), sees(1, 1, "", "b1")), true},
		"a lost order, half done":    {whole.lost(commands(1, xlreg.OrderEvict, 0)).then(looks(), sees(1, 0, "", "b1")), false},
		"one key, two IDs":           {keyedBegin().then(comesIn(0, "x"), known("X")), false},
		"one key, one ID":            {keyedBegin().then(comesIn(0, "x"), known("A")), true},
		"unseen by classic peers":    {keyedBegin().then(&request{verb: get, ref: xlreg.ClusterRef{ID: "K"}}, refused(xlreg.ErrNoSuchClusterID)), true},
		"seen by a classic peer":     {keyedBegin().then(&request{verb: get, ref: xlreg.ClusterRef{ID: "K"}}, answers(0, 0)), false},
		"registered over a classic":  {keyedBegin().then(registers("A", said("a", 0)), known("A")).then(arrives(0, "1", false), refused(xlreg.ErrNotAdmitted)), true},
		"a seat of every epoch left": {whole.then(arrives(0, "2", true), answers(2, 0)).then(&request{verb: leave, modern: true, key: 1, id: "B", ref: xlreg.ClusterRef{ID: "K"}}, &answer{cluster: xlreg.Cluster{ID: "K"}}), true},
	} {
		want := map[bool]porcupine.CheckResult{true: porcupine.Ok, false: porcupine.Illegal}[c.legal]
		if got := verdict(rules{self: registryID}, c.history, checkTime); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
