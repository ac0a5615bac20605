package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
)

func manCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write manual pages", Args: positional("DIR"),
		Example: "  lowbit man man1/\n  lowbit man . && man ./lowbit-quantize.1",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.man(cmd.Root(), args[0]) },
	}
}

func (a *app) man(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.IOf(dir, err)
	}
	files := []string{}
	for _, c := range everyCommand(root) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		path := filepath.Join(dir, name+".1")
		if err := atomicfile.Write(path, text(manPage(c, name)), atomicfile.Options{Force: a.force}); err != nil {
			return err
		}
		files = append(files, path)
	}
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.man/v1", "files": files})
	}
	a.say("next: man %s", filepath.Join(dir, "lowbit.1"))
	return nil
}

// everyCommand lists a command and all below it.
func everyCommand(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		list = append(list, everyCommand(sub)...)
	}
	return list
}

// text returns what writes s to a file.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// manPage writes one command's help as a page of section 1 (man-pages(7)).
func manPage(c *cobra.Command, name string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(".TH %s 1", strings.ToUpper(name))
	line(".SH NAME\n%s \\- %s", name, roff(c.Short))
	line(".SH SYNOPSIS\n.B %s", roff(c.UseLine()))
	if c.Long != "" {
		line(".SH DESCRIPTION\n%s", roff(c.Long))
	}
	line(".SH OPTIONS")
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) { line("%s", manFlag(f)) })
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { line("%s", manFlag(f)) })
	if c.Example != "" {
		line(".SH EXAMPLES\n.nf\n%s\n.fi", roff(c.Example))
	}
	line(".SH ENVIRONMENT\n%s", roff("A flag that is not given takes its value from the variable LOWBIT_ and its name in capitals, with _ for -: --max-memory from LOWBIT_MAX_MEMORY. "+
		"LOWBIT_CPU caps the instruction set: generic, avx2, avxvnni, avx512, vnni or amx. NO_COLOR leaves colours out."))
	line(".SH EXIT STATUS\n0 done; 1 a limit that was asked for does not hold; 2 invalid input; 3 unsupported; 4 a resource limit; 5 input or output; 70 an internal error; 130, 143 interrupted.")
	return b.String()
}

func manFlag(f *pflag.Flag) string {
	kind, usage := pflag.UnquoteUsage(f)
	return fmt.Sprintf(".TP\n.B \\-\\-%s %s\n%s", roff(f.Name), roff(kind), roff(usage))
}

// roff escapes what roff reads as its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
