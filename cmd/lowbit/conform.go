package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"lowbit/internal/conform"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func conformCmd(a *app) *cobra.Command {
	var by backend
	cmd := &cobra.Command{
		Use: "conform DIR...", Short: "Run ONNX test cases", Args: atLeastOne("DIR"),
		Long: "conform runs every model below the folders that has stored inputs and outputs: model.onnx beside\n" +
			"test_data_set_N folders, and NAME.onnx beside NAME.npz with keys in:… and out:….",
		Example: "  lowbit conform onnx/backend/test/data/node\n  lowbit conform cases/ --backend reference --json",
		RunE: func(cmd *cobra.Command, dirs []string) error {
			if err := by.check(); err != nil {
				return err
			}
			return a.conform(cmd.Context(), dirs, by)
		},
	}
	by.add(cmd)
	return cmd
}

func (a *app) conform(ctx context.Context, dirs []string, by backend) error {
	cases, err := conform.Find(dirs...)
	if err != nil {
		return err
	}
	if len(cases) == 0 {
		return fault.Invalidf(dirs[0], "holds no test cases")
	}
	opt := conform.Options{}
	if by == "engine" {
		opt.Runner = a.runOnce
	}
	p, done := a.newProgress(), 0
	opt.Each = func(r conform.Result) {
		done++
		p.update("conform", done, len(cases))
		if !a.json && (r.Outcome == conform.Failed || a.verbose) {
			fmt.Fprintf(a.out, "%-8s %s  %s\n", r.Outcome, r.Name, r.Message)
		}
	}
	rep, err := conform.Run(ctx, cases, opt)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(struct {
			Schema  string  `json:"schema"`
			Backend backend `json:"backend"`
			*conform.Report
		}{"lowbit.conform/v1", by, rep})
	} else {
		err = a.printf("%d passed, %d failed, %d skipped\n", rep.Passed, rep.Failed, rep.Skipped)
	}
	other := map[backend]string{"engine": "reference", "reference": "engine"}[by]
	a.next(slices.Concat([]string{"conform"}, dirs, []string{"--backend", other})...)
	if err == nil && rep.Failed > 0 {
		return &fault.Error{Kind: fault.Gate, Msg: fmt.Sprintf("%d of %d cases failed", rep.Failed, len(cases))}
	}
	return err
}

// runOnce compiles a model, runs it once and forgets it.
func (a *app) runOnce(ctx context.Context, m *graph.Model, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	s, err := engine.Compile(m, engine.Options{Threads: a.threads, Seed: a.seed})
	if err != nil {
		return nil, err
	}
	return s.Run(ctx, in)
}
