package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func newTool() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tool",
		Long:    "What it does takes more than one line to say, which was broken for\na wide terminal.\n\n  but this --is --a --table\n\nThe end.",
		Example: "  tool --with many --flags in --one line that --people will --paste",
		Run:     func(*cobra.Command, []string) {},
	}
	cmd.Flags().String("flag", "", "the `VALUE` of a flag about which there is a lot to say")
	return cmd
}

// On a narrow terminal help is broken between words, but for what is to be pasted.
func TestHelpIsNarrow(t *testing.T) {
	const width = 50
	cmd := newTool()
	text := fill(cmd.Long, width) + "\n\n" + usage(cmd, width)
	for line := range strings.Lines(text) {
		if len(strings.TrimSuffix(line, "\n")) > width && !strings.Contains(cmd.Example, strings.TrimSpace(line)) {
			t.Errorf("too wide: %q", line)
		}
	}
	for _, want := range []string{"say,\nwhich was broken for a wide terminal.\n\n", "\n  but this --is --a --table\n", "\n\nThe end.\n", "there is a\n "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Where there is no terminal each flag is in one line, and the text as it was written.
func TestHelpInAFile(t *testing.T) {
	var out bytes.Buffer
	cmd := newTool()
	ShowHelp(cmd, &Console{Out: &out})
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.HasPrefix(text, cmd.Long+"\n\nUsage:\n  tool [flags]\n") || !strings.Contains(text, "there is a lot to say\n") {
		t.Errorf("got\n%s", text)
	}
}
