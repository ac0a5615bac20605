package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
)

func checkCmd(a *app) *cobra.Command {
	target := ""
	cmd := &cobra.Command{
		Use: "check MODEL", Short: "Check that a model is sound and can run", Args: cobra.ExactArgs(1),
		Example: "  lowbit check model.onnx\n  lowbit check model.onnx --target ort-cpu",
		RunE:    func(_ *cobra.Command, args []string) error { return a.check(args[0], target) },
	}
	cmd.Flags().StringVar(&target, "target", "", "also check against this runtime; see lowbit targets")
	return cmd
}

func (a *app) check(path, target string) error {
	if target != "" && plan.LookupTarget(target) == nil {
		return fault.Invalidf("--target", "there is no target %q", target)
	}
	m, err := lowbit.Open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	if missing := missingOps(m.Graph()); len(missing) > 0 {
		return fault.Unsupportedf(path, "operators that are not implemented: %s", strings.Join(missing, ", "))
	}
	types, err := op.Infer(m.Graph(), nil)
	if err != nil {
		return fault.At(path, err)
	}
	if a.json {
		outs := []valueJSON{}
		for _, v := range m.Graph().Graph.Out {
			outs = append(outs, valueJSON{v.Name, types[v.Name].Type.String()})
		}
		return a.printJSON(map[string]any{"schema": "lowbit.check/v1", "ok": true, "outputs": outs})
	}
	_, err = fmt.Fprintf(a.out, "%s: sound; every operator is supported\n", path)
	return err
}

// missingOps lists the operators that lowbit lacks, each with the number of its nodes.
func missingOps(m *graph.Model) []string {
	count := map[string]int{}
	for _, n := range m.Graph.AllNodes() {
		if o := op.Lookup(n.Domain, n.Op); (o == nil || o.Eval == nil) && m.Function(n.Domain, n.Op, n.Overload) == nil {
			count[op.QualifiedName(n)]++
		}
	}
	var list []string
	for name, n := range count {
		list = append(list, fmt.Sprintf("%s (%d)", name, n))
	}
	slices.Sort(list)
	return list
}
