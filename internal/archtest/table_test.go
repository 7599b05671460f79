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
		never: []string{"net", "os", "sync", "syscall", "io", "bufio", "context", "log", "crypto", "golang.org/x/crypto", "math/big"},
		why:   "the vocabulary is pure: no I/O, no locks, no encoding, no cryptography",
	},
	"keys": {
		may:   []string{"."},
		never: []string{"os", "sync", "context"},
		why:   "what is done with keys, wherever they are kept",
	},
	"identity": {
		may:   []string{".", "internal/atomicfile", "internal/filelock", "internal/private", "keys", "regcred"},
		tests: []string{"internal/original"},
		why:   "nodes and their directories stand below everything that talks",
	},
	"regcred": {
		may:   []string{".", "internal/atomicfile", "keys"},
		never: []string{"net"},
		why:   "a file format, and the keys in it",
	},
	"ticket": {
		may:   []string{".", "keys", "regcred"},
		never: []string{"net", "os"},
		why:   "a line of text; who asks a registry for anything is above it",
	},
	"internal/wire": {
		may:   []string{".", "internal/wire/xlregpb", "keys"},
		never: []string{"net", "os"},
		why:   "messages and nouns only: who carries them is the session's affair",
	},
	"internal/wire/xlregpb": {
		why: "generated",
	},
	"internal/session": {
		may: []string{".", "internal/wire", "keys"},
		why: "a carrier knows neither rules nor records, and neither server nor client",
	},
	"internal/store": {
		never: []string{"net", "os"},
		why:   "the contract must suit a driver in this process and one over the network, and knows no noun",
	},
	"internal/store/group": {
		may:   []string{"internal/store"},
		never: []string{"net", "os"},
		why:   "one group commit, above any driver",
	},
	"internal/store/mirror": {
		may:   []string{"internal/store", "internal/store/group"},
		tests: []string{"internal/store/mirror/mirrortest", "internal/store/storetest"},
		never: []string{"net", "os"},
		why:   "what all databases over a network have in common, and none of them",
	},
	"internal/store/mirror/mirrortest": {
		may:   []string{"internal/store", "internal/store/mirror"},
		never: []string{"net", "os"},
		why:   "a database for tests, that a test can hold up",
	},
	"internal/store/mirror/databasetest": {
		may:   []string{"internal/store", "internal/store/mirror"},
		tests: []string{"internal/store/mirror/mirrortest"},
		never: []string{"net", "os"},
		why:   "the suite sees what every database has",
	},
	"internal/store/etcd": {
		may:   []string{"internal/store", "internal/store/mirror"},
		tests: []string{"internal/store/etcd/etcdtest", "internal/store/storetest"},
		why:   "a driver knows the contract, not the rules and not another driver",
	},
	"internal/store/etcd/etcdtest": {
		may: []string{"internal/freeport"},
		why: "runs etcd as its operators do; knows nothing of what is kept in it",
	},
	"internal/store/postgres": {
		may:   []string{"internal/store", "internal/store/mirror"},
		tests: []string{"internal/store/mirror/databasetest", "internal/store/postgres/postgrestest", "internal/store/storetest"},
		why:   "a driver knows the contract, not the rules and not another driver",
	},
	"internal/store/postgres/postgrestest": {
		may: []string{"internal/freeport"},
		why: "runs PostgreSQL as its operators do; knows nothing of what is kept in it",
	},
	"internal/store/memory": {
		may:   []string{"internal/store"},
		tests: []string{"internal/store/storetest"},
		never: []string{"net", "os"},
		why:   "a driver knows the contract, not the rules and not another driver",
	},
	"internal/store/bolt": {
		may:   []string{"internal/atomicfile", "internal/filelock", "internal/store", "internal/store/bolt/boltfile", "internal/store/group"},
		tests: []string{"internal/store/storetest"},
		never: []string{"net"},
		why:   "a driver knows the contract, not the rules and not another driver",
	},
	"internal/store/bolt/boltfile": {
		never: []string{"net", "os", "syscall"},
		why:   "looks through a file before the driver's library does, and so without it",
	},
	"internal/store/storetest": {
		may:   []string{"internal/store"},
		tests: []string{"internal/store/group", "internal/store/memory", "internal/store/storetest/optimistic"},
		never: []string{"net"},
		why:   "the suite sees what every driver has",
	},
	"internal/store/storetest/line": {
		why: "stands between a server and a real database, for tests that part them",
	},
	"internal/store/storetest/optimistic": {
		may:   []string{"internal/store", "internal/store/group"},
		tests: []string{"internal/store/storetest"},
		never: []string{"net", "os"},
		why:   "a driver for tests, with what a store over the network has and has not",
	},
	"internal/transfer": {
		may:   []string{"internal/records", "internal/store"},
		tests: []string{".", "internal/store/bolt", "internal/store/etcd", "internal/store/etcd/etcdtest", "internal/store/memory", "internal/store/postgres", "internal/store/postgres/postgrestest", "keys"},
		never: []string{"net", "os"},
		why:   "moves records between stores, whichever they are, and knows no rule",
	},
	"internal/records": {
		may:   []string{".", "internal/records/recordspb", "internal/store", "keys"},
		tests: []string{"internal/store/memory"},
		never: []string{"net", "os"},
		why:   "records are the same on every driver",
	},
	"internal/records/recordspb": {
		why: "generated",
	},
	"internal/registry": {
		may:   []string{".", "internal/records", "internal/store", "keys"},
		tests: []string{"internal/store/bolt", "internal/store/etcd", "internal/store/etcd/etcdtest", "internal/store/group", "internal/store/memory", "internal/store/mirror", "internal/store/mirror/mirrortest", "internal/store/postgres", "internal/store/postgres/postgrestest", "internal/store/storetest", "internal/store/storetest/optimistic"},
		never: []string{"net", "os"},
		why:   "the rules know no network and no driver",
	},
	"internal/overview": {
		may:   []string{".", "internal/admin/api", "internal/records", "internal/store", "keys"},
		tests: []string{"internal/store/memory"},
		never: []string{"net", "os"},
		why:   "lists what the store tells, in the words of the admin side; the rules do not need it",
	},
	"internal/guard": {
		may: []string{"."},
		why: "limits count addresses and know nothing of what they bound",
	},
	"internal/server": {
		may:   []string{".", "internal/guard", "internal/registry", "internal/session", "internal/wire", "keys"},
		tests: []string{"internal/store", "internal/store/memory"},
		why:   "one place from request to rule to reply, over whatever store it was given",
	},
	"client": {
		may:   []string{".", "identity", "internal/session", "internal/wire", "keys", "regcred", "ticket"},
		tests: []string{"internal/original", "internal/records", "internal/registry", "internal/server", "internal/store", "internal/store/memory", "xlregtest"},
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
	"internal/freeport": {
		why: "small help for whoever starts programs",
	},
	"internal/notify": {
		why: "what systemd passes and wants to hear; who is alive it is told",
	},
	"internal/private": {
		never: []string{"net"},
		why:   "small help with files",
	},
	"internal/audit": {
		may: []string{".", "internal/registry"},
		why: "a file of events; who makes them, and who looks at them, is not its affair",
	},
	"internal/metrics": {
		may: []string{".", "internal/admin/api", "internal/registry", "internal/server", "internal/store", "internal/store/metered", "internal/wire"},
		why: "counts what others do, and nobody asks it for anything but the numbers",
	},
	"internal/store/metered": {
		may:   []string{"internal/store"},
		tests: []string{"internal/store/group", "internal/store/memory", "internal/store/storetest", "internal/store/storetest/optimistic"},
		never: []string{"net", "os"},
		why:   "a store like any other, over any other",
	},
	"internal/admin/api": {
		never: []string{"net", "os", "sync", "context"},
		why:   "the words in which a registry is shown and steered; the server, the page and the command line share them",
	},
	"internal/admin": {
		may:   []string{".", "internal/admin/api", "internal/atomicfile", "internal/guard", "internal/private", "keys"},
		tests: []string{"internal/admin/adminclient", "internal/admin/admintest", "internal/child"},
		why:   "HTTP over whatever is shown and steered",
	},
	"internal/admin/page": {
		may:   []string{"internal/admin/api"},
		tests: []string{"internal/admin", "internal/admin/admintest"},
		never: []string{"os"},
		why:   "shows what it is handed; who may see it, and every change, are the admin side's affair",
	},
	"internal/admin/adminclient": {
		may:   []string{".", "internal/admin/api", "keys"},
		tests: []string{"internal/admin", "internal/admin/admintest"},
		why:   "the other end of the admin side, and its mirror: neither imports the other",
	},
	"internal/admin/admintest": {
		may: []string{"internal/admin", "internal/admin/api"},
		why: "a registry that does what a test says, for tests of the admin side, the page and the command line",
	},
	"internal/host": {
		may:   []string{".", "identity", "internal/admin/api", "internal/guard", "internal/overview", "internal/records", "internal/registry", "internal/server", "internal/session", "internal/store", "internal/store/metered", "internal/wire", "keys", "regcred"},
		tests: []string{"client", "internal/admin", "internal/store/bolt", "internal/store/memory", "internal/store/mirror", "internal/store/mirror/mirrortest"},
		why:   "puts a server together, over whatever store it was given",
	},
	"internal/archtest": {
		why: "reads code, runs none",
	},
	"clients/interop": {
		tests: []string{".", "client", "identity", "internal/child", "internal/freeport", "internal/store/etcd/etcdtest", "internal/store/postgres/postgrestest", "regcred", "ticket", "xlregtest"},
		why:   "lets clients in all languages meet, in tests alone",
	},
	"internal/bench": {
		may:   []string{".", "client", "identity", "internal/admin/api", "internal/audit", "internal/child", "internal/guard", "internal/host", "internal/metrics", "internal/records", "internal/registry", "internal/session", "internal/store", "internal/store/bolt", "internal/store/etcd", "internal/store/memory", "internal/store/mirror", "internal/store/postgres", "internal/wire", "keys", "regcred"},
		tests: []string{"internal/freeport", "internal/store/etcd/etcdtest", "internal/store/postgres/postgrestest"},
		why:   "measures the whole: client, server and stores",
	},
	"internal/child": {
		may: []string{".", "regcred"},
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
	"deploy/deploytest": {
		tests: []string{".", "internal/guard"},
		why:   "installs and runs what is built, as its users do",
	},
	"internal/partition": {
		tests: []string{".", "client", "identity", "internal/host", "internal/store", "internal/store/memory", "keys", "regcred"},
		why:   "parts the whole, in tests alone",
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
	"internal/vectorgen": {
		why: "vectors made by the code they test would prove nothing",
	},
	"docs/vectors": {
		tests: []string{".", "internal/registry", "internal/store/memory", "internal/vectorgen", "internal/wire", "internal/wire/xlregpb", "keys", "regcred", "ticket"},
		never: []string{"net", "os"},
		why:   "files for every language; their tests run them through every layer",
	},
	"docs/vectors/gen": {
		may: []string{"internal/vectorgen"},
		why: "writes the files",
	},
	"internal/spelling": {
		why: "words, whatever they are the names of",
	},
	"internal/recipe": {
		may:   []string{".", "internal/spelling"},
		never: []string{"net", "os"},
		why:   "what is known of systems, as data; it starts nothing and knows no cluster",
	},
	"internal/recipe/expand": {
		may:   []string{".", "internal/recipe", "launch"},
		never: []string{"net", "os"},
		why:   "what a recipe says, in the terms of launch, which is public and shows no recipe",
	},
	"cmd/xlreg/internal/runplan": {
		may:   []string{".", "internal/recipe", "internal/recipe/expand", "launch"},
		never: []string{"os"},
		why:   "decides what is started, and starts nothing",
	},
	"internal/recipe/recipetest": {
		tests: []string{"internal/recipe"},
		why:   "starts what a user would, from outside",
	},
	"internal/run": {
		may: []string{"internal/freeport", "internal/run/proc", "internal/run/shim"},
		why: "starts and watches processes; what is in them is not its business",
	},
	"internal/run/proc": {
		never: []string{"net", "os/exec"},
		why:   "shims need it, and start fast",
	},
	"internal/run/shim": {
		may:   []string{"internal/run/proc"},
		never: []string{"net", "os/exec"},
		why:   "there is one for each program, and it starts fast",
	},
	"internal/rundir": {
		may: []string{"internal/atomicfile", "internal/filelock", "internal/private"},
		why: "what a run leaves in its directory, and how it is talked to; it starts nothing and knows no registry",
	},
	"internal/detach": {
		why: "one program, twice; what it does is not its business",
	},
	"internal/view": {
		may:   []string{"."},
		never: []string{"net", "os"},
		why:   "shapes of nouns as plain values, for whoever shows them, client or registry",
	},
	"launch": {
		may:   []string{".", "client", "identity", "internal/atomicfile", "internal/private", "internal/recipe", "internal/view", "keys"},
		tests: []string{"xlregtest"},
		never: []string{"os/exec", "os/signal"},
		why:   "what a program is told; starting it, and a registry to go with it, are left to the caller",
	},
	"examples": {
		tests: []string{".", "identity", "keys", "xlregtest"},
		why:   "its tests run what a user would",
	},
	"examples/hello": {
		why: "a program that knows nothing of xlreg",
	},
	"bench/scale": {
		why: "computes with what was measured; runs none of it",
	},
	"xlregtest": {
		may: []string{".", "client", "identity", "internal/host", "internal/store/memory", "keys", "regcred"},
		why: "what users' tests import; keeps nothing on disk, so it needs no other driver",
	},
	"cmd/xlreg": {
		may: []string{"*"},
		why: "the one program",
	},
	"cmd/xlreg/internal/benchcmd": {
		may: []string{".", "cmd/xlreg/internal/cli", "identity", "internal/bench", "keys", "regcred"},
		why: "one subcommand, with what it measures elsewhere",
	},
	"cmd/xlreg/internal/admincmd": {
		may:   []string{"cmd/xlreg/internal/cli", "cmd/xlreg/internal/datadir", "internal/admin/adminclient", "internal/admin/api", "internal/atomicfile", "internal/view", "launch"},
		tests: []string{"internal/admin", "internal/admin/admintest"},
		why:   "what admins ask and say, on the command line; what that means is the admin side's affair",
	},
	"cmd/xlreg/internal/recipecmd": {
		may: []string{"cmd/xlreg/internal/cli", "internal/recipe", "internal/recipe/expand", "internal/run", "internal/view"},
		why: "shows and checks recipes; it runs none",
	},
	"cmd/xlreg/internal/early": {
		may: []string{"internal/run/shim"},
		why: "what it imports is initialized before a shim can start",
	},
	"cmd/xlreg/internal/lifecmd": {
		may: []string{"cmd/xlreg/internal/cli", "internal/run", "internal/run/proc", "internal/rundir", "internal/view", "launch"},
		why: "what people ask and tell a run, on the command line; doing it is the run's affair",
	},
	"cmd/xlreg/internal/topcmd": {
		may:   []string{"cmd/xlreg/internal/admincmd", "cmd/xlreg/internal/cli", "internal/admin/adminclient", "internal/admin/api", "internal/view"},
		tests: []string{"internal/admin", "internal/admin/admintest"},
		why:   "the page for terminals: it looks, and changes nothing",
	},
	"cmd/xlreg/internal/manual": {
		may: []string{"cmd/xlreg/internal/cli"},
		why: "writes down what commands say of themselves, whichever they are",
	},
	"cmd/xlreg/internal/datadir": {
		may: []string{".", "identity", "internal/admin/adminclient", "internal/atomicfile", "internal/filelock", "internal/private", "internal/records", "internal/store", "internal/store/bolt", "keys", "regcred"},
		why: "what is in a registry's directory, for the subcommands that deal with it whole",
	},
	"cmd/xlreg/internal/refdoc": {
		why: "a function of the commands; which of them there are it does not know",
	},
	"cmd/xlreg/internal/stores": {
		may: []string{"internal/store/etcd", "internal/store/mirror", "internal/store/postgres"},
		why: "the one place that knows which drivers there are by their URLs",
	},
	"cmd/xlreg/internal/cli": {
		may: []string{".", "internal/spelling", "internal/view", "launch", "regcred"},
		why: "what subcommands have in common; which of them there are it does not know",
	},
}

// openToTests may be imported by the tests of every package.
var openToTests = []string{"docs/vectors"}

// reserved are packages of ours that only some may import, whatever the rows say.
var reserved = map[string]reservation{
	"internal/original": {to: []string{"client", "cmd/xlreg", "identity", "internal/original/originald"}, why: "a fake is for tests alone"},
}

type reservation struct {
	to  []string
	why string
}

// stateful are the package variables that may hold state, as path.name.
var stateful = map[string]string{
	"internal/recipe.builtin": "the recipes in the program are read once, when they are first asked for, and never changed",
	"xlregtest.common":        "a registry that tests share ends with the last of them",
	"xlregtest.registryKeys":  "the keys of registries are RSA and slow to make, and the tests of a process know nothing of each other",
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
	{"crypto/rsa", []string{"internal/original", "internal/vectorgen", "keys"}, "the kinds of key are known in one place, so that there can be more of them"},
	{"github.com/danielgtaylor/huma", []string{"internal/admin"}, "the API is printed from its operations, and nobody else needs to know how"},
	{"github.com/jackc", []string{"internal/store/postgres", "internal/store/postgres/postgrestest"}, "a driver's library stays in the driver"},
	{"github.com/spf13", []string{"cmd/xlreg", "cmd/xlreg/internal/admincmd", "cmd/xlreg/internal/benchcmd", "cmd/xlreg/internal/cli", "cmd/xlreg/internal/lifecmd", "cmd/xlreg/internal/manual", "cmd/xlreg/internal/recipecmd", "cmd/xlreg/internal/refdoc", "cmd/xlreg/internal/stores", "cmd/xlreg/internal/topcmd"}, "libraries have no command line"},
	{"github.com/tidwall/btree", []string{"internal/overview", "internal/server", "internal/store", "internal/store/memory", "internal/store/mirror", "internal/store/mirror/mirrortest", "internal/store/storetest/optimistic"}, "an ordered map is a means of the store, and of lists that are read by page"},
	{"github.com/prometheus", []string{"internal/metrics"}, "what is counted knows nothing of who collects it"},
	{"go.yaml.in/yaml", []string{"internal/recipe", "launch"}, "a recipe is read in one place, and templates can write YAML"},
	{"go.etcd.io/bbolt", []string{"internal/store/bolt"}, "a driver's library stays in the driver"},
	{"go.etcd.io/etcd", []string{"internal/store/etcd", "internal/store/etcd/etcdtest"}, "a driver's library stays in the driver"},
	{"go.uber.org/goleak", nil, "it is for tests"},
	{"go.uber.org/zap", []string{"internal/store/etcd", "internal/store/etcd/etcdtest"}, "a driver's library stays in the driver"},
	{"golang.org/x/term", []string{"cmd/xlreg/internal/cli"}, "libraries have no terminal"},
	{"google.golang.org/grpc", []string{"internal/store/etcd"}, "a driver's library stays in the driver"},
	{"google.golang.org/protobuf", []string{"internal/original", "internal/records", "internal/records/recordspb", "internal/vectorgen", "internal/wire", "internal/wire/xlregpb"}, "the protobuf is known in one place, so that it can change in one"},
	{"log", nil, "logging goes through the *slog.Logger that was handed in"},
	{"log/slog", []string{"client", "cmd/xlreg", "cmd/xlreg/internal/stores", "internal/admin", "internal/admin/page", "internal/audit", "internal/bench", "internal/host", "internal/metrics", "internal/overview", "internal/registry", "internal/server", "internal/store/bolt", "internal/store/etcd", "internal/store/mirror", "internal/store/postgres", "xlregtest"}, "the others return what they have to say"},
	{"math/rand", []string{"bench/scale", "client", "internal/bench", "internal/freeport", "internal/store/etcd", "internal/store/mirror"}, "what can be guessed is for jitter and for measurements alone"},
	{"pgregory.net/rapid", []string{"internal/store/storetest"}, "it is for tests"},
	{"testing", []string{"internal/store/etcd/etcdtest", "internal/store/mirror/databasetest", "internal/store/postgres/postgrestest", "internal/store/storetest", "internal/store/storetest/line", "xlregtest"}, "it is for tests"},
	{"software.sslmate.com", []string{"launch"}, "it is for the files of programs alone"},
	{"unsafe", []string{"internal/records/recordspb", "internal/wire/xlregpb"}, "nothing here is worth it"},
}

// pure packages lie below ones that are forbidden but do no I/O themselves.
var pure = []string{"net/netip"}
