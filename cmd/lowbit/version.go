package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"lowbit/internal/kernel"
)

func versionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version and what this machine can do", Args: cobra.NoArgs,
		Example: "  lowbit version\n  lowbit version --json",
		RunE: func(*cobra.Command, []string) error {
			var levels []string
			for _, l := range kernel.Levels() {
				levels = append(levels, l.String())
			}
			if a.json {
				return a.printJSON(map[string]any{"schema": "lowbit.version/v1", "version": version(), "go": runtime.Version(),
					"os": runtime.GOOS, "arch": runtime.GOARCH, "instruction_sets": levels})
			}
			_, err := fmt.Fprintf(a.out, "lowbit %s (%s, %s/%s; instruction sets %v)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, levels)
			return err
		},
	}
}
