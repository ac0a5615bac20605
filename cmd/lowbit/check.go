package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lowbit/internal/fault"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
)

func checkCmd(a *app) *cobra.Command {
	target := ""
	cmd := &cobra.Command{
		Use: "check MODEL", Short: "Check that a model is sound and can run", Args: positional("MODEL"),
		Example: "  lowbit check model.onnx\n  lowbit check model.onnx --target ort-cpu",
		RunE:    func(_ *cobra.Command, args []string) error { return a.check(args[0], target) },
	}
	cmd.Flags().StringVar(&target, "target", "", "also check against this runtime; see lowbit targets")
	return cmd
}

func targetNames() []string {
	var names []string
	for _, t := range plan.Targets {
		names = append(names, t.Name)
	}
	return names
}

// shownNodes is how many nodes a line names.
const shownNodes = 5

// shortened lists the first of many names.
func shortened(names []string) string {
	if len(names) <= shownNodes {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more (--json names all)", strings.Join(names[:shownNodes], ", "), len(names)-shownNodes)
}

const narrowHint = "its session option session.qdq_matmulnbits_accuracy_level=0 leaves them as they are"

func (a *app) check(path, target string) error {
	if target != "" {
		if err := oneOf("--target", target, targetNames()...); err != nil {
			return err
		}
	}
	m, err := a.openToRun(path)
	if err != nil {
		return err
	}
	defer m.Close()
	types, err := op.Infer(m.Graph(), nil)
	if err != nil {
		return fault.At(path, err)
	}
	saturate, stored, narrowed := []string{}, []string{}, []string{}
	if t := plan.LookupTarget(target); t != nil {
		if lacks := t.Missing(m.Graph()); len(lacks) > 0 {
			return fault.Unsupportedf(path, "%s lacks operators, with the number of their nodes: %s", t.Name, strings.Join(lacks, ", "))
		}
		if t.Pairs != "" {
			saturate = saturating(m.Graph(), types)
		}
		if len(saturate) > 0 {
			a.warn("%s adds products of uint8 and int8 in pairs of 16 bits on %s, which may saturate in %d nodes: %s; with --weights uint8 it does not", t.Name, t.Pairs, len(saturate), shortened(saturate))
		}
		if t.Stores {
			stored, narrowed = append(stored, pass.FloatBetween(m.Graph())...), append(narrowed, pass.Narrowed(m.Graph())...)
		}
		if len(stored) > 0 {
			a.warn("%s stores the float weights of %d nodes between DequantizeLinear and QuantizeLinear as int8 with one scale: %s; files of lowbit keep it from that", t.Name, len(stored), shortened(stored))
		}
		if len(narrowed) > 0 {
			a.warn("%s multiplies activations of eight bits in %d nodes with stored matrices: %s; "+narrowHint, t.Name, len(narrowed), shortened(narrowed))
		}
	}
	outs := []valueJSON{}
	for _, v := range m.Graph().Graph.Out {
		outs = append(outs, valueJSON{v.Name, types[v.Name].Type.String()})
	}
	if a.json {
		err = a.printJSON(map[string]any{"schema": "lowbit.check/v1", "ok": true, "outputs": outs, "may_saturate": saturate, "may_store_int8": stored, "may_narrow": narrowed})
	} else {
		err = a.printf("%s: sound; every operator is supported\n", path)
	}
	a.next("bench", path)
	return err
}
