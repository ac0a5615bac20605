package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lowbit/internal/onnx"
)

// run calls the program and returns what it prints.
func run(args ...string) (code int, out, words string) {
	var o, e bytes.Buffer
	code = Main(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// commands returns the tree of commands, with the flags that cobra adds.
func commands() []*cobra.Command {
	root := (&app{out: &stdout{w: io.Discard}, err: io.Discard}).root()
	root.InitDefaultHelpCmd()
	list := everyCommand(root)
	for _, c := range list {
		c.InitDefaultHelpFlag()
	}
	return list
}

// TestCommands holds every command to what users count on: a line on what it does, two examples that
// call it, and help that begins with them.
func TestCommands(t *testing.T) {
	for _, c := range commands() {
		name := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || strings.Contains(c.Short, "\n") {
			t.Errorf("%s: its line in the list of commands is %q", name, c.Short)
		}
		examples := strings.Split(c.Example, "\n")
		if len(examples) != 2 {
			t.Errorf("%s has %d examples, want 2", name, len(examples))
		}
		for _, e := range examples {
			if !strings.HasPrefix(e, "  lowbit") || c.HasParent() && !strings.HasPrefix(e, "  "+name) {
				t.Errorf("%s: the example %q does not call it", name, e)
			}
		}
		args := append(strings.Fields(name)[1:], "-h")
		code, out, words := run(args...)
		if want := "Examples:\n" + c.Example + "\n\n"; code != 0 || !strings.HasPrefix(out, want) || words != "" {
			t.Errorf("%s -h: status %d, stderr %q, stdout\n%s", name, code, words, out)
		}
		if !strings.Contains(out, "Usage:\n  "+name) {
			t.Errorf("%s -h does not say how it is used", name)
		}
	}
}

// TestFlags wants every flag explained, under one name, and in the manual page.
func TestFlags(t *testing.T) {
	usage := map[string]string{}
	for _, c := range commands() {
		page := manPage(c, "x")
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: explained as %q", c.CommandPath(), f.Name, f.Usage)
			}
			if f.Shorthand != "" && usage["-"+f.Shorthand] != "" && usage["-"+f.Shorthand] != f.Name {
				t.Errorf("-%s is --%s and --%s", f.Shorthand, f.Name, usage["-"+f.Shorthand])
			}
			usage["-"+f.Shorthand] = f.Name
			if !strings.Contains(page, roff("--"+f.Name)) {
				t.Errorf("%s --%s is not in the manual page", c.CommandPath(), f.Name)
			}
		})
	}
	for _, name := range []string{"json", "threads", "seed", "max-memory", "force", "quiet", "verbose", "log-format"} {
		if commands()[0].PersistentFlags().Lookup(name) == nil {
			t.Errorf("there is no --%s for all commands", name)
		}
	}
}

// TestArguments calls every command with too many arguments, and those that need some with none.
func TestArguments(t *testing.T) {
	for _, c := range commands() {
		if c.HasSubCommands() || c.Name() == "help" || c.Name() == "conform" {
			continue
		}
		args := append(strings.Fields(c.CommandPath())[1:], "a", "b", "c", "d")
		if code, out, words := run(args...); code != 2 || out != "" || !strings.HasPrefix(words, "error: ") {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, code, out, words)
		}
	}
}

// TestCrash turns a panic into a status and a file of its own.
func TestCrash(t *testing.T) {
	t.Chdir(t.TempDir())
	var words bytes.Buffer
	a := &app{out: &stdout{w: io.Discard}, err: &words, ctx: t.Context(), log: "text", started: true}
	if code := a.crashed("boom", []byte("the stack")); code != 70 {
		t.Errorf("status %d", code)
	}
	if s := words.String(); !strings.HasPrefix(s, "error: internal error: boom\n  hint: details are in lowbit-crash-") || strings.Contains(s, "the stack") {
		t.Errorf("stderr is %q", s)
	}
}

// TestClosedStdout wants the status of a failed write where nobody reads the result.
func TestClosedStdout(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	var words bytes.Buffer
	if code := Main([]string{"version", "--json"}, nil, w, &words); code != 5 {
		t.Errorf("status %d: %s", code, &words)
	}
}

func TestCommandLine(t *testing.T) {
	got := commandLine([]string{"run", "a b", "", "it's", "x=1", "*"})
	if want := `lowbit run 'a b' '' 'it'\''s' x=1 '*'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFaultsAreListed wants each fault of a model on a line of its own.
func TestFaultsAreListed(t *testing.T) {
	_, err := onnx.Decode([]byte("\x3a\x02\x0a\x00"), onnx.Limits{})
	if err == nil {
		t.Fatal("a network of an empty node is accepted")
	}
	var words bytes.Buffer
	a := &app{out: &stdout{w: io.Discard}, err: &words, ctx: t.Context(), log: "text", started: true}
	if code := a.finish(err); code != 2 {
		t.Errorf("status %d", code)
	}
	for line := range strings.Lines(words.String()) {
		if !strings.HasPrefix(line, "error: ") && !strings.HasPrefix(line, "  hint: ") {
			t.Errorf("line %q", line)
		}
	}
}
