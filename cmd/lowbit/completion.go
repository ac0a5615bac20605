package main

import (
	"io"

	"github.com/spf13/cobra"

	"lowbit/internal/fault"
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
