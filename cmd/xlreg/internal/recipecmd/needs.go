package recipecmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
)

// python is the one that runs what names no other.
const python = "python3"

// pythonTime bounds the question which modules there are.
const pythonTime = 20 * time.Second

// findModules prints those of its arguments that are no modules. What -c adds to the path is the
// current directory, which programs do not look in: any directory there would be a module.
const findModules = `import sys, importlib.util
sys.path[:] = [p for p in sys.path if p]
for name in sys.argv[1:]:
    try:
        found = importlib.util.find_spec(name)
    except Exception:
        found = None
    if not found:
        print(name)
`

// CheckModules returns an error that names the modules of Python that r needs and this machine
// does not have, and how to get them.
func CheckModules(ctx context.Context, r *recipe.Recipe) error {
	if len(r.Python) == 0 {
		return nil
	}
	path, _ := run.LookPath(r.Program) // without it the usual Python is asked
	interpreter := pythonOf(path)
	missing := missingModules(ctx, interpreter, r.Python)
	if len(missing) == 0 {
		return nil
	}
	how := "install it for that"
	if command := r.Install.Command(); command != "" {
		how = fmt.Sprintf("install it with '%s'", command)
	}
	return &run.ExitError{Name: r.Name, Code: run.CodeNotFound, Err: fmt.Errorf("%s has no module %s: %s", interpreter, strings.Join(missing, ", "), how)}
}

// missing returns what each of the recipes needs and this machine does not have, by the
// recipe's name: programs, and then modules of Python. Each Python is asked once.
func missing(ctx context.Context, recipes []*recipe.Recipe) map[string][]string {
	found := make(map[string][]string)
	asked := make(map[string][]string) // modules, by the Python that has to have them
	pythons := make(map[string]string) // by the recipe's name
	for _, r := range recipes {
		for _, program := range r.Needs {
			if _, err := run.LookPath(program); err != nil {
				found[r.Name] = append(found[r.Name], program)
			}
		}
		path, err := run.LookPath(r.Program)
		if err != nil {
			path = ""
			found[r.Name] = append([]string{r.Program}, found[r.Name]...)
		}
		if len(r.Python) > 0 {
			pythons[r.Name] = pythonOf(path)
			asked[pythons[r.Name]] = append(asked[pythons[r.Name]], r.Python...)
		}
	}
	absent := make(map[string][]string)
	for interpreter, modules := range asked {
		absent[interpreter] = missingModules(ctx, interpreter, modules)
	}
	for _, r := range recipes {
		for _, module := range r.Python {
			if slices.Contains(absent[pythons[r.Name]], module) {
				found[r.Name] = append(found[r.Name], module)
			}
		}
	}
	return found
}

// missingModules returns those that a Python does not have. One that does not run has none.
func missingModules(ctx context.Context, interpreter string, modules []string) []string {
	ctx, cancel := context.WithTimeout(ctx, pythonTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, append([]string{"-c", findModules}, modules...)...) //nolint:gosec // the Python that is to run the system
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return modules
	}
	return strings.Fields(string(out))
}

// mostOfStart is as much of a script as its Python is named in.
const mostOfStart = 4096

// pythonOf returns the Python that runs a program: itself, or the one that a script names. What
// is no script of Python's gets the usual one.
func pythonOf(program string) string {
	if strings.HasPrefix(filepath.Base(program), "python") {
		return program
	}
	file, err := os.Open(program)
	if err != nil {
		return python
	}
	defer file.Close()
	start, err := io.ReadAll(io.LimitReader(file, mostOfStart))
	if err != nil || !bytes.HasPrefix(start, []byte("#!")) {
		return python
	}
	lines := bufio.NewScanner(bytes.NewReader(start[2:]))
	for i := 0; i < 2 && lines.Scan(); i++ {
		if found := pythonIn(lines.Text()); found != "" {
			return found
		}
	}
	return python
}

// pythonIn returns the Python that one of the first lines of a script names. Pip puts a path
// that is too long for the first line, or has blanks, into the second: there it is what a shell
// executes, between quotes that make it a text for Python.
func pythonIn(line string) string {
	line = strings.TrimSpace(line)
	if rest, long := strings.CutPrefix(line, "'''exec' "); long {
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			path, _, _ := strings.Cut(quoted, `"`)
			return path
		}
		line = rest
	}
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(filepath.Base(word), "python") {
			return word
		}
	}
	return ""
}
