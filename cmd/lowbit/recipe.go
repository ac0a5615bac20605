package main

import (
	"github.com/spf13/cobra"

	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/recipe"
)

func recipeCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "recipe", Short: "Write, check and show recipes", Args: knownCommand,
		Example: "  lowbit recipe init r.yaml\n  lowbit recipe check r.yaml",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{Use: "init [FILE]", Short: "Write the default recipe", Args: cobra.MaximumNArgs(1),
			Example: "  lowbit recipe init\n  lowbit recipe init r.yaml", RunE: func(_ *cobra.Command, args []string) error { return a.recipeInit(args) }},
		&cobra.Command{Use: "check FILE", Short: "Check a recipe", Args: positional("FILE"),
			Example: "  lowbit recipe check r.yaml\n  lowbit recipe check r.yaml --json", RunE: func(_ *cobra.Command, args []string) error { return a.recipeCheck(args[0]) }},
		&cobra.Command{Use: "show FILE", Short: "Show a recipe with every default filled in", Args: positional("FILE"),
			Example: "  lowbit recipe show r.yaml\n  lowbit recipe show r.yaml > full.yaml", RunE: func(_ *cobra.Command, args []string) error { return a.recipeShow(args[0]) }},
	)
	return cmd
}

func (a *app) recipeInit(args []string) error {
	if len(args) == 0 {
		a.next("recipe", "init", "r.yaml")
		return a.printRecipe(recipe.Default())
	}
	b, err := recipe.Default().Encode()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(args[0], text(string(b)), atomicfile.Options{Force: a.force}); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.recipe-file/v1", "file": args[0]})
	}
	a.next("recipe", "check", args[0])
	return nil
}

func (a *app) recipeCheck(path string) error {
	if _, err := recipe.Read(path); err != nil {
		return err
	}
	a.next("quantize", "model.onnx", "-o", "out.onnx", "--recipe", path)
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.check/v1", "ok": true})
	}
	return a.printf("%s: sound\n", path)
}

func (a *app) recipeShow(path string) error {
	r, err := recipe.Read(path)
	if err != nil {
		return err
	}
	if r, err = r.Resolved(); err != nil {
		return fault.At(path, err)
	}
	a.next("quantize", "model.onnx", "-o", "out.onnx", "--recipe", path)
	return a.printRecipe(r)
}

// printRecipe prints a recipe as YAML, or as the same document in JSON.
func (a *app) printRecipe(r *recipe.Recipe) error {
	if a.json {
		tree, err := r.Tree()
		if err != nil {
			return err
		}
		return a.printJSON(tree)
	}
	b, err := r.Encode()
	if err != nil {
		return err
	}
	return a.printf("%s", b)
}
