package recipe

// Recipe is a system that can be run by its name.
type Recipe struct {
	Name   string   `yaml:"name"`   // what 'run' is told; of letters, digits and dashes
	About  string   `yaml:"about"`  // in one line
	Tested []string `yaml:"tested"` // versions that it was tested with, each "PROGRAM VERSION"

	Program string  `yaml:"program"` // what has to be installed
	Install Install `yaml:"install"` // where that comes from

	Members int `yaml:"members"` // how many are started unless -n says otherwise
	Fewest  int `yaml:"fewest"`  // with fewer it does not work; 0: one is enough

	Ports   []string `yaml:"ports"`   // by name, each NAME or NAME=PORT; NAME=PORT needs Address
	Address string   `yaml:"address"` // 127.0.0.N, for members that need an address each
	TLS     string   `yaml:"tls"`     // one of the TLS constants; empty is TLSSelf
	First   bool     `yaml:"first"`   // member 0 is ready before the others start
	Shared  []string `yaml:"shared"`  // programs that one member starts for all

	What  `yaml:",inline"` // what members are told, unless their role says otherwise
	Roles []Role           `yaml:"roles"`

	Format Text `yaml:"format"` // what --format NAME prints; templates have it as {{args NAME}} and {{file NAME}}

	Ready        Text   `yaml:"ready"` // tcp[:PORT], http[s]:[PORT]/PATH, or a command for sh
	ReadyTimeout string `yaml:"ready-timeout"`
	AfterReady   Text   `yaml:"after-ready"` // a command for sh, once all are ready
	Status       Text   `yaml:"status"`      // a command for sh that fails unless the cluster is whole

	Client Client `yaml:"client"`

	File string `yaml:"-"` // where it was read
}

// What is what a member is told.
type What struct {
	Command []Text     `yaml:"command"`
	Env     []Variable `yaml:"env"`   // in the file a mapping of names to templates
	Files   []File     `yaml:"files"` // in the file a mapping of names to templates
}

// Role is what some members are told in place of what Recipe says. Their label role has
// its name.
type Role struct {
	Name    string `yaml:"name"`
	Members string `yaml:"members"` // an index, or FROM-TO, or FROM-
	What    `yaml:",inline"`
	Ready   Text `yaml:"ready"`
}

// Client is what those are told that talk to the cluster.
type Client struct {
	Env   []Variable `yaml:"env"`   // for --then, and 'xlreg exec'
	Paste Text       `yaml:"paste"` // a command for people, which talks to the cluster
}

// Text is a template, and where it stands.
type Text struct {
	Text string
	Line int // in the recipe's file, from 1
}

// Variable is one of the environment.
type Variable struct {
	Name  string
	Value Text
}

// File is one that is written into a member's directory.
type File struct {
	Name string // a path below the member's directory
	Text Text
}

// Install says how a program gets on a machine.
type Install struct {
	Debian string `yaml:"debian"` // a package
	PyPI   string `yaml:"pypi"`   // packages, as pip install wants them
	Go     string `yaml:"go"`     // what go install wants
}

// The kinds of TLS that members have.
const (
	TLSSelf = "self" // each signs for itself, and the others know its certificate
	TLSCA   = "ca"   // an authority made for the run signs for all
	TLSNone = "none" // the system has none
)
