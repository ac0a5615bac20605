package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lowbit/internal/atomicfile"
)

func manCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write manual pages", Args: cobra.ExactArgs(1),
		Example: "  lowbit man man1/\n  lowbit man . && man ./lowbit-quantize.1",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, c := range append([]*cobra.Command{cmd.Root()}, cmd.Root().Commands()...) {
				name := strings.ReplaceAll(c.CommandPath(), " ", "-")
				text := manPage(c, name)
				path := filepath.Join(args[0], name+".1")
				write := func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
				if err := atomicfile.Write(path, write, atomicfile.Options{Force: a.force}); err != nil {
					return err
				}
			}
			return nil
		},
	}
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
