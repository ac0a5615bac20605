package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/recipe"
	"lowbit/internal/repair"
)

// shells lists the shells that completion is written for.
var shells = []struct {
	name  string
	write func(root *cobra.Command, w io.Writer) error
}{
	{"bash", func(r *cobra.Command, w io.Writer) error { return r.GenBashCompletionV2(w, true) }},
	{"zsh", func(r *cobra.Command, w io.Writer) error { return r.GenZshCompletion(w) }},
	{"fish", func(r *cobra.Command, w io.Writer) error { return r.GenFishCompletion(w, true) }},
	{"powershell", func(r *cobra.Command, w io.Writer) error { return r.GenPowerShellCompletionWithDesc(w) }},
}

// choices are what a flag of a few words takes.
type choices struct {
	words []string
	files bool // names of files are offered too
}

// flagChoices are those of every such flag, by its name.
func flagChoices() map[string]choices {
	observers, formats := strings.Split(calib.Names(), ", "), strings.Fields(format.Names())
	targets := choices{}
	for _, t := range plan.Targets {
		targets.words = append(targets.words, t.Name)
	}
	return map[string]choices{
		"scheme": {words: strings.Split(plan.SchemeNames(), ", ")}, "mode": {words: []string{string(plan.Static), string(plan.Dynamic), string(plan.Weights), string(plan.Convert)}},
		"observer": {words: append([]string{recipe.Auto}, observers...)}, "weight-observer": {words: observers}, "scales": {words: []string{recipe.Exact, recipe.Fitted}},
		"weights": {words: formats}, "acts": {words: formats}, "target": targets, "style": {words: []string{"qdq", "qoperator", "contrib"}},
		"fix": {words: append([]string{recipe.Auto, repair.None}, repair.Words()...)}, "split": {words: []string{"train", "test"}}, "metric": {words: metricNames()},
		"backend": {words: []string{"engine", "reference"}}, "log-format": {words: []string{"text", "json"}}, "preprocess": {dataset.Presets(), true},
		"data": {[]string{"none", "random:normal", "random:uniform"}, true},
	}
}

// completeWords lets shells complete what flags of a few words take, in every command that has them.
func completeWords(root *cobra.Command) {
	for name, ch := range flagChoices() {
		directive := cobra.ShellCompDirectiveNoFileComp
		if ch.files {
			directive = cobra.ShellCompDirectiveDefault
		}
		for _, c := range everyCommand(root) {
			if c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(ch.words, directive)) // which it has, once
			}
		}
	}
}

func completionCmd(a *app) *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print a script that completes commands in bash, zsh, fish or powershell", Args: positional("SHELL"),
		Example:   "  lowbit completion bash > /etc/bash_completion.d/lowbit\n  lowbit completion zsh > ~/.zfunc/_lowbit",
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.json {
				return fault.Unsupportedf("--json", "a script has no JSON form")
			}
			for _, s := range shells {
				if s.name == args[0] {
					return s.write(cmd.Root(), a.out)
				}
			}
			return oneOf("SHELL", args[0], names...)
		},
	}
}
