package recipe

import "time"

// Recipe is a system that can be run by its name.
type Recipe struct {
	Name   string   `yaml:"name"`   // what 'run' is told; of small letters, digits and dashes
	About  string   `yaml:"about"`  // in one line
	Tested []string `yaml:"tested"` // versions that it was tested with, each "PROGRAM VERSION"

	Program string   `yaml:"program"` // what has to be installed; if not said, what Command starts
	Needs   []string `yaml:"needs"`   // other programs that have to be, for its commands
	Python  []string `yaml:"python"`  // modules that the program's Python has to have, or python3
	Install Install  `yaml:"install"` // where all that comes from

	Members int `yaml:"members"` // how many are started unless -n says otherwise; if not said, DefaultMembers
	Fewest  int `yaml:"fewest"`  // with fewer it does not work; if not said, 1

	Ports   []Port   `yaml:"ports"`   // of each member, in the order of its endpoints; in the file each NAME or NAME=PORT
	Address string   `yaml:"address"` // 127.0.0.N with the letter N, or an address to count from; empty: members share one
	TLS     string   `yaml:"tls"`     // one of the TLS constants; if not said, TLSSelf. In the file also a list of all that work
	TLSOnly []string `yaml:"-"`       // that list; empty: the recipe does not say
	First   bool     `yaml:"first"`   // member 0 is ready before the others start
	Shared  []string `yaml:"shared"`  // programs that one member starts for all

	What  `yaml:",inline"` // what members are told, unless their role says otherwise
	Roles []Role           `yaml:"roles"`

	Format Text `yaml:"format"` // what --format NAME prints; templates have it as {{args NAME}} and {{file NAME}}

	ReadyTimeout time.Duration `yaml:"ready-timeout"` // of one member; 0: that of 'run'
	StopTimeout  time.Duration `yaml:"stop-timeout"`  // after which a member is killed that was told to end; 0: that of 'run'
	AfterReady   Text          `yaml:"after-ready"`   // a command for sh, once all are ready
	Status       Text          `yaml:"status"`        // a command for sh that fails unless the cluster is whole

	Client Client `yaml:"client"`

	File string `yaml:"-"` // where it was read
}

// What is what a member is told.
type What struct {
	Command []Text     `yaml:"command"`
	Env     []Variable `yaml:"env"`   // in the file a mapping of names to templates
	Files   []File     `yaml:"files"` // in the file a mapping of paths to templates
	Ready   Text       `yaml:"ready"` // tcp[:PORT], http[s]:[PORT]/PATH, or a command for sh
}

// Role is what some members are told beside what Recipe says: see Recipe.Member. Their
// label role has its name.
type Role struct {
	Name    string `yaml:"name"`
	Members Range  `yaml:"members"` // in the file an index, or FROM-TO, or FROM-
	What    `yaml:",inline"`
}

// Client is for programs and people that talk to the cluster.
type Client struct {
	Env   []Variable `yaml:"env"`   // for --then, and 'xlreg exec'
	Paste Text       `yaml:"paste"` // a command for people, which talks to the cluster
}

// Text is a template, and where it stands. The zero Text is none.
type Text struct {
	Text string
	Line int // of its first line in the recipe's file, from 1
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
	Debian string `yaml:"debian"` // packages, as apt-get install wants them
	PyPI   string `yaml:"pypi"`   // packages, as pip install wants them
	Go     string `yaml:"go"`     // what go install wants
	Shell  string `yaml:"shell"`  // a command for sh, where none of these will do
}

// The kinds of TLS that members have.
const (
	TLSSelf = "self" // each signs for itself, and the others know its certificate
	TLSCA   = "ca"   // an authority made for the run signs for all
	TLSNone = "none" // the system has none
)

// DefaultMembers is how many members are started when neither the recipe nor the user
// says how many.
const DefaultMembers = 3

// PortNames returns the names of the ports, in their order.
func (r *Recipe) PortNames() []string {
	var names []string
	for _, p := range r.Ports {
		names = append(names, p.Name)
	}
	return names
}

// Command returns a command that installs the programs, for people: Debian's if there is
// one. It is empty if nothing is known.
func (i Install) Command() string {
	switch {
	case i.Debian != "":
		return "apt-get install " + i.Debian
	case i.PyPI != "":
		return "pip install " + i.PyPI
	case i.Go != "":
		return "go install " + i.Go
	}
	return i.Shell
}
