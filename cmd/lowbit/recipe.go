package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lowbit/internal/atomicfile"
	"lowbit/internal/recipe"
)

func recipeCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "recipe", Short: "Write, check and show recipes", Args: cobra.NoArgs,
		Example: "  lowbit recipe init r.yaml\n  lowbit recipe check r.yaml",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{Use: "init [FILE]", Short: "Write the default recipe", Args: cobra.MaximumNArgs(1),
			Example: "  lowbit recipe init\n  lowbit recipe init r.yaml", RunE: func(_ *cobra.Command, args []string) error { return a.recipeInit(args) }},
		&cobra.Command{Use: "check FILE", Short: "Check a recipe", Args: cobra.ExactArgs(1),
			Example: "  lowbit recipe check r.yaml\n  lowbit recipe check r.yaml --json", RunE: func(_ *cobra.Command, args []string) error { return a.recipeCheck(args[0]) }},
		&cobra.Command{Use: "show FILE", Short: "Show a recipe with every default filled in", Args: cobra.ExactArgs(1),
			Example: "  lowbit recipe show r.yaml\n  lowbit recipe show r.yaml > full.yaml", RunE: func(_ *cobra.Command, args []string) error { return a.recipeShow(args[0]) }},
	)
	return cmd
}

func (a *app) recipeInit(args []string) error {
	b, err := recipe.Default().Encode()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		_, err = a.out.Write(b)
		return err
	}
	return atomicfile.Write(args[0], func(w io.Writer) error { _, err := w.Write(b); return err }, atomicfile.Options{Force: a.force})
}

func (a *app) recipeCheck(path string) error {
	if _, err := recipe.Read(path); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.check/v1", "ok": true})
	}
	_, err := fmt.Fprintf(a.out, "%s: sound\n", path)
	return err
}

func (a *app) recipeShow(path string) error {
	r, err := recipe.Read(path)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r.Filled())
	}
	b, err := r.Filled().Encode()
	if err == nil {
		_, err = a.out.Write(b)
	}
	return err
}
