package rundir

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

// holder is the process that has, or had, a directory. It says so in holder.json, since
// the lock itself does not tell who holds it.
type holder struct {
	PID     int       `json:"pid"`
	Command []string  `json:"command"`
	Place   string    `json:"place"` // the working directory of the command
	Since   time.Time `json:"since"`
	Ended   time.Time `json:"ended,omitzero"` // zero: it runs, or was killed
	Machine machine   `json:"machine"`
	Lock    string    `json:"lock"`           // which file the lock is: a copy of the directory has another
	Mark    string    `json:"mark,omitempty"` // of the processes that it has started
}

// machine is where a process ID means something.
type machine struct {
	Host  string `json:"host"`
	Boot  string `json:"boot,omitempty"`  // the machine's last start, where the system tells
	Space string `json:"space,omitempty"` // of process IDs, where the system has several
}

func newHolder(lock string, o *Owner) (holder, error) {
	command := o.Command
	if command == nil {
		command = os.Args
	}
	info, err := os.Stat(lock)
	return holder{
		PID: os.Getpid(), Command: command, Place: workingDir(), Since: time.Now(), Machine: thisMachine(), Lock: fileID(info), Mark: o.Mark,
	}, err
}

// workingDir returns this process's, empty if it has none.
func workingDir() string {
	dir, _ := os.Getwd()
	return dir
}

// read reads who has, or had, the directory. What stands in a copy of a directory is about
// the original: ours is false then.
func (h *holder) read(path, lock string) (ours bool, err error) {
	if err := readJSON(path, h); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	info, err := os.Stat(lock)
	return err == nil && fileID(info) == h.Lock, nil
}

// Killed returns the mark of the processes of the last run in a directory, if that was killed.
// It is empty if it was not, or ran on another machine, where they are now.
func Killed(dir string) string {
	var h holder
	ours, err := h.read(pathIn(dir, holderName), pathIn(dir, lockName))
	if err != nil || !ours || !h.Ended.IsZero() || !h.isHere() {
		return ""
	}
	return h.Mark
}

// String says which process it is, for people.
func (h *holder) String() string {
	text := fmt.Sprintf("pid %d", h.PID)
	if here := thisMachine(); h.Machine.Host != here.Host || h.Machine.Boot != here.Boot {
		text += fmt.Sprintf(" on %s", h.Machine.Host)
	} else if h.Machine != here {
		text += " in another container"
	}
	return text + " (" + h.shortCommand() + ")"
}

// longestCommand is how much of a command line stands in the middle of a sentence.
const longestCommand = 120

func (h *holder) shortCommand() string {
	line := []rune(h.commandLine())
	if len(line) > longestCommand {
		return string(line[:longestCommand-1]) + "…"
	}
	return string(line)
}

// commandLine is the command for people to paste, perhaps in another directory. It comes
// from a file, so it must not be able to give orders to a terminal.
func (h *holder) commandLine() string {
	words := make([]string, len(h.Command))
	for i, word := range h.Command {
		words[i] = quote(word)
	}
	if h.Place != "" && h.Place != workingDir() {
		words = slices.Concat([]string{"cd", quote(h.Place), "&&"}, words)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.Join(words, " "))
}

// quote makes s one word for a shell.
func quote(s string) string {
	const special = " \t\n'\"\\$`*?[]{}()<>|&;#~!"
	if s != "" && !strings.ContainsAny(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// isHere reports whether the process ID is one of this machine, and of the same space as
// that of this process.
func (h *holder) isHere() bool { return h.Machine == thisMachine() }

const (
	tellTime     = time.Second           // from taking the lock to having said so
	tellInterval = 10 * time.Millisecond // of the looks at holder.json meanwhile
)

// inUse is the error of a directory that another run has locked. The one that took it just
// now may not have said so yet: then what stands there is about the one before.
func inUse(dir string) error {
	var h holder
	for end := time.Now().Add(tellTime); time.Now().Before(end); <-time.After(tellInterval) {
		h = holder{}
		ours, err := h.read(pathIn(dir, holderName), pathIn(dir, lockName))
		if err == nil && ours && h.Ended.IsZero() && !h.isDead() {
			return fmt.Errorf("%s is %w, %s, since %s: stop that with 'xlreg stop --dir %s', or choose another directory",
				dir, ErrInUse, h.String(), at(h.Since), dir)
		}
	}
	return fmt.Errorf("%s is %w, which does not say yet who it is: try again in a moment, or choose another directory", dir, ErrInUse)
}

// isDead reports whether the process is known to have ended. Until the next one has ended what
// a killed one has left, holder.json is about that.
func (h *holder) isDead() bool { return h.isHere() && !lives(h.PID) }

// at says when something was.
func at(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
