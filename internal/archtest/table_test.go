package archtest

// row is what one package may import.
type row struct {
	may   []string // of ours; "*" is everything
	tests []string // of ours, by its tests beside may and itself
	never []string // of the others, with what lies below them
	why   string   // what the rule is for
}

// rows says what each package may import, and TestDocument writes it into
// ARCHITECTURE.md. Data goes one way, connection → session → rules → store, and
// nothing lower calls upward.
var rows = map[string]row{
	".": {
		never: []string{"net", "os", "sync", "syscall", "io", "bufio", "context", "log"},
		why:   "the vocabulary is pure: no I/O, no locks, no encoding",
	},
	"identity": {
		may: []string{".", "internal/atomicfile", "internal/filelock"},
		why: "keys and node directories stand below everything that talks",
	},
	"regcred": {
		may:   []string{".", "identity", "internal/atomicfile"},
		never: []string{"net"},
		why:   "a file format, and the fingerprints of identity",
	},
	"internal/wire": {
		may:   []string{".", "internal/wire/xlregpb"},
		never: []string{"net", "os"},
		why:   "messages and nouns only: who carries them is the session's affair",
	},
	"internal/wire/xlregpb": {
		why: "generated",
	},
	"internal/session": {
		may: []string{".", "identity", "internal/wire"},
		why: "a carrier knows neither rules nor records, and neither server nor client",
	},
	"internal/store": {
		may:   []string{"."},
		never: []string{"net", "os"},
		why:   "the contract must suit a driver in this process and one over the network",
	},
	"internal/store/codec": {
		may:   []string{".", "internal/store"},
		never: []string{"net", "os"},
		why:   "records are for every driver",
	},
	"internal/store/memory": {
		may:   []string{".", "internal/store"},
		tests: []string{"internal/store/storetest"},
		never: []string{"net", "os"},
		why:   "a driver knows the contract, not the rules and not another driver",
	},
	"internal/store/bolt": {
		may:   []string{".", "internal/store", "internal/store/codec"},
		tests: []string{"internal/store/storetest"},
		never: []string{"net"},
		why:   "a driver knows the contract, not the rules and not another driver",
	},
	"internal/store/storetest": {
		may:   []string{".", "internal/store"},
		never: []string{"net"},
		why:   "the suite sees what every driver has",
	},
	"internal/registry": {
		may:   []string{".", "identity", "internal/store"},
		tests: []string{"internal/store/memory"},
		never: []string{"net", "os"},
		why:   "the rules know no network and no driver",
	},
	"internal/server": {
		may:   []string{".", "internal/registry", "internal/session", "internal/wire"},
		tests: []string{"identity", "internal/store", "internal/store/memory"},
		why:   "one place from request to rule to reply, over whatever store it was given",
	},
	"client": {
		may:   []string{".", "identity", "regcred", "internal/session", "internal/wire"},
		tests: []string{"internal/original", "internal/registry", "internal/server", "internal/store", "internal/store/memory", "xlregtest"},
		why:   "what users import must not bring the server along",
	},
	"internal/atomicfile": {
		never: []string{"net"},
		why:   "small help with files",
	},
	"internal/filelock": {
		never: []string{"net"},
		why:   "small help with files",
	},
	"internal/host": {
		may:   []string{".", "identity", "regcred", "internal/registry", "internal/server", "internal/store", "internal/wire"},
		tests: []string{"client", "internal/store/memory", "internal/store/bolt"},
		why:   "puts a server together, over whatever store it was given",
	},
	"internal/archtest": {
		why: "reads code, runs none",
	},
	"clients/interop": {
		tests: []string{".", "client", "identity", "regcred", "xlregtest"},
		why:   "lets clients in all languages meet, in tests alone",
	},
	"internal/bench": {
		may: []string{".", "client", "identity", "internal/child", "internal/host", "internal/server", "internal/session", "internal/store", "internal/store/bolt", "internal/store/memory", "internal/wire", "regcred"},
		why: "measures the whole: client, server and stores",
	},
	"internal/child": {
		may: []string{"regcred"},
		why: "runs the program as its users do; knows nothing of its inside",
	},
	"internal/hostile": {
		tests: []string{"*"},
		why:   "attacks the whole, in tests alone",
	},
	"internal/linear": {
		tests: []string{"*"},
		why:   "holds the whole against a model of the rules, in tests alone",
	},
	"internal/torture": {
		tests: []string{"*"},
		why:   "kills and starves the whole, in tests alone",
	},
	"internal/original": {
		why: "a fake that shared code with ours would share its mistakes",
	},
	"internal/original/originald": {
		may: []string{"internal/original"},
		why: "the fake as a process",
	},
	"internal/testkeys": {
		may:   []string{"identity", "internal/atomicfile", "internal/filelock"},
		tests: []string{"."},
		never: []string{"net"},
		why:   "keys and files, for whoever may have them",
	},
	"internal/vectorgen": {
		why: "vectors made by the code they test would prove nothing",
	},
	"docs/vectors": {
		tests: []string{".", "identity", "internal/registry", "internal/store/memory", "internal/vectorgen", "internal/wire", "internal/wire/xlregpb", "regcred"},
		never: []string{"net", "os"},
		why:   "files for every language; their tests run them through every layer",
	},
	"docs/vectors/gen": {
		may: []string{"internal/vectorgen"},
		why: "writes the files",
	},
	"launch": {
		may:   []string{".", "client", "identity", "internal/atomicfile", "regcred"},
		tests: []string{"xlregtest"},
		why:   "starts programs with what a client knows; a registry to go with them is the program's to run",
	},
	"examples": {
		tests: []string{".", "identity", "xlregtest"},
		why:   "its tests run what a user would",
	},
	"examples/hello": {
		why: "a program that knows nothing of xlreg",
	},
	"xlregtest": {
		may: []string{".", "client", "identity", "internal/host", "internal/testkeys", "regcred", "internal/store/memory"},
		why: "what users' tests import; keeps nothing on disk, so it needs no other driver",
	},
	"cmd/xlreg": {
		may: []string{"*"},
		why: "the one program",
	},
}

// openToTests may be imported by the tests of every package.
var openToTests = []string{"docs/vectors"}

// reserved are packages of ours that only some may import, whatever the rows say.
var reserved = map[string]reservation{
	"internal/original": {to: []string{"client", "internal/original/originald"}, why: "a fake is for tests alone"},
	"internal/testkeys": {to: []string{"cmd/xlreg", "xlregtest"}, why: "keys that every test has are for tests alone"},
}

type reservation struct {
	to  []string
	why string
}

// stateful are the package variables that may hold state, as path.name.
var stateful = map[string]string{
	"internal/testkeys.shared": "the tests of a process know nothing of each other and must not use the same keys",
}

type confinement struct {
	path string
	to   []string
	why  string
}

// holds reports whether c is about what i imports.
func (c confinement) holds(i imported) bool {
	if c.path == "log" && i.path != "log" { // log/slog has a line of its own
		return false
	}
	return !i.ours && below(i.path, c.path)
}

// confined are packages of others that only some of ours may import, with what
// lies below them. Tests are free.
var confined = []confinement{
	{"github.com/spf13", []string{"cmd/xlreg"}, "libraries have no command line"},
	{"go.etcd.io/bbolt", []string{"internal/store/bolt"}, "a driver's library stays in the driver"},
	{"go.uber.org/goleak", nil, "it is for tests"},
	{"golang.org/x/term", []string{"cmd/xlreg"}, "libraries have no terminal"},
	{"google.golang.org/protobuf", []string{"internal/original", "internal/vectorgen", "internal/wire", "internal/wire/xlregpb"}, "the protobuf is known in one place, so that it can change in one"},
	{"log", nil, "logging goes through the *slog.Logger that was handed in"},
	{"log/slog", []string{"client", "cmd/xlreg", "internal/host", "internal/registry", "internal/server", "internal/store/bolt", "xlregtest"}, "the others return what they have to say"},
	{"math/rand", []string{"client"}, "what can be guessed is for jitter alone"},
	{"pgregory.net/rapid", []string{"internal/store/storetest"}, "it is for tests"},
	{"testing", []string{"internal/store/storetest", "xlregtest"}, "it is for tests"},
	{"unsafe", []string{"internal/wire/xlregpb"}, "nothing here is worth it"},
}

// pure packages lie below ones that are forbidden but do no I/O themselves.
var pure = []string{"net/netip"}
