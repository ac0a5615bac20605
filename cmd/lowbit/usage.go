package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lowbit/internal/fault"
	"lowbit/internal/strictyaml"
)

// Help begins with examples: most readers need no more.
const (
	helpTemplate = `Examples:
{{.Example}}

{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

	usageTemplate = `Usage:{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND [flags]{{else}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{flags .LocalFlags | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of every command:
{{flags .InheritedFlags | trimTrailingWhitespaces}}{{end}}
`
)

// flagUsages describes flags, within the width of the terminal if stdout is one.
func (a *app) flagUsages(f *pflag.FlagSet) string { return f.FlagUsagesWrapped(columns(a.out.w)) }

// columns is the width of the terminal that w is, 0 where it is none.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		return columnsOf(f)
	}
	return 0
}

func helpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Show the help of a command",
		Example: "  lowbit help\n  lowbit help quantize",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, strings.Join(args, " "))
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// helpOnKnown lets -h behind a word that is no command be the mistake that the word is.
func (a *app) helpOnKnown(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
			a.unknown = unknownCommand(cmd, words[0])
			return
		}
		var text bytes.Buffer
		cmd.SetOut(&text)
		help(cmd, args)
		cmd.SetOut(a.out)
		_, _ = a.out.Write(text.Bytes()) // which keeps its failure
	})
}

// knownCommand refuses words that no command has.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	e := fault.Invalidf(cmd.CommandPath(), "there is no command %q", word)
	if near, ok := strictyaml.Meant(word, names); ok {
		return e.WithHint("did you mean %q?", near)
	}
	return e.WithHint("%s -h lists the commands", cmd.CommandPath())
}

// positional checks the number of arguments, which names describe in order.
func positional(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := "no arguments"
		if len(names) > 0 {
			want = strings.Join(names, " and ")
		}
		count := fmt.Sprintf("%d arguments", len(args))
		if len(args) == 1 {
			count = "1 argument"
		}
		return fault.Invalidf(cmd.CommandPath(), "takes %s, not %s", want, count).WithHint("usage: %s", cmd.UseLine())
	}
}

// atLeastOne checks that there are arguments.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return fault.Invalidf(cmd.CommandPath(), "takes at least one %s", name).WithHint("usage: %s", cmd.UseLine())
	}
}

// flagError says which flag or value was meant.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		return badValue("--"+value.GetFlag().Name, value.GetFlag(), value.GetValue(), value.Unwrap())
	}
	if depth := strings.Count(cmd.CommandPath(), " "); cmd.HasSubCommands() && len(a.args) > depth && !strings.HasPrefix(a.args[depth], "-") {
		return unknownCommand(cmd, a.args[depth]) // whose flags nobody knows
	}
	e := fault.Invalidf(cmd.CommandPath(), "%v", err)
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return e.WithHint("see %s -h", cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near, ok := strictyaml.Meant(unknown.GetSpecifiedName(), names); ok {
		return e.WithHint("did you mean --%s?", near)
	}
	return e.WithHint("%s -h lists the flags", cmd.CommandPath())
}

// badValue says why a flag does not take a value. The types of units.go say it themselves.
func badValue(place string, f *pflag.Flag, text string, cause error) error {
	var number *strconv.NumError
	if cause == nil || errors.As(cause, &number) {
		return fault.Invalidf(place, "%q is no %s", text, cmp.Or(kinds[f.Value.Type()], f.Value.Type()))
	}
	return fault.Invalidf(place, "%v", cause)
}

// kinds say what a flag takes whose type has a name in Go alone.
var kinds = map[string]string{"int": "whole number", "uint64": "whole number from 0 up", "float64": "number", "bool": "word such as true or false"}

// oneOf refuses a word that is none of those known.
func oneOf(place, word string, known ...string) error {
	for _, k := range known {
		if k == word {
			return nil
		}
	}
	e := fault.Invalidf(place, "%q is not one of %s", word, strings.Join(known, ", "))
	if near, ok := strictyaml.Meant(word, known); ok {
		return e.WithHint("did you mean %q?", near)
	}
	return e
}

// fromEnvironment sets every flag that the command line leaves out and whose LOWBIT_<FLAG> variable
// is there.
func fromEnvironment(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := envName(f)
		v, ok := os.LookupEnv(name)
		if !ok || f.Changed || f.Name == "help" || f.Name == "version" {
			return
		}
		if e := f.Value.Set(v); e != nil && err == nil {
			err = badValue(name, f, v, e)
		}
		f.Changed = true
	})
	return err
}

// envName is the variable that stands for a flag.
func envName(f *pflag.Flag) string {
	return "LOWBIT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

// commandLine writes arguments as a shell takes them.
func commandLine(args []string) string {
	words := []string{"lowbit"}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
			a = fmt.Sprintf("'%s'", strings.ReplaceAll(a, "'", `'\''`))
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
