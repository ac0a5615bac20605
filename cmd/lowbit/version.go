package main

import (
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"lowbit/internal/fault"
	"lowbit/internal/kernel"
)

func versionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version and what this machine can do", Args: positional(),
		Example: "  lowbit version\n  lowbit version --json",
		RunE: func(*cobra.Command, []string) error {
			if _, err := kernel.Best(); err != nil {
				return fault.Invalidf("", "%v", err)
			}
			var levels []string
			for _, l := range kernel.Levels() {
				levels = append(levels, l.String())
			}
			if a.json {
				return a.printJSON(map[string]any{"schema": "lowbit.version/v1", "version": version(), "go": runtime.Version(),
					"os": runtime.GOOS, "arch": runtime.GOARCH, "instruction_sets": levels})
			}
			err := a.printf("lowbit %s, %s; instruction sets %s\n", version(), platform(), strings.Join(levels, " "))
			a.next("demo")
			return err
		},
	}
}
