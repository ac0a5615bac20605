package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

func inspectCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "inspect MODEL", Short: "Show what a model is made of", Args: positional("MODEL"),
		Example: "  lowbit inspect model.onnx\n  lowbit inspect model.onnx --json",
		RunE:    func(_ *cobra.Command, args []string) error { return a.inspect(args[0]) },
	}
}

// inspectJSON is what inspect prints with --json.
type inspectJSON struct {
	Schema     string            `json:"schema"`
	IR         int64             `json:"ir_version"`
	Opsets     map[string]int    `json:"opsets"`
	Producer   string            `json:"producer"`
	Bytes      int64             `json:"bytes"`
	Parameters int               `json:"parameters"`
	Inputs     []valueJSON       `json:"inputs"`
	Outputs    []valueJSON       `json:"outputs"`
	Nodes      int               `json:"nodes"`
	Ops        map[string]int    `json:"ops"`
	Types      map[string]int    `json:"parameter_types"`
	Weights    []weightJSON      `json:"weights"`
	Flows      map[string]int    `json:"activation_formats"`
	Unknown    []string          `json:"unsupported_ops"`
	Functions  []string          `json:"functions"`
	Metadata   map[string]string `json:"metadata"`
}

// weightJSON is a constant in few bits.
type weightJSON struct {
	Node   string  `json:"node"`
	Op     string  `json:"op"`
	Name   string  `json:"name"`
	Format string  `json:"format"`
	Block  string  `json:"block"`
	Shape  []int   `json:"shape"`
	Bits   float64 `json:"bits_per_weight"`
}

type valueJSON struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (a *app) inspect(path string) error {
	m, err := a.open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	r, err := inspection(m)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(r)
	} else {
		err = a.printInspection(path, r)
	}
	a.next("check", path)
	return err
}

func (a *app) printInspection(path string, r *inspectJSON) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: IR %d, opsets %s, made by %q, %d bytes\n", path, r.IR, opsets(r.Opsets), r.Producer, r.Bytes)
	fmt.Fprintf(&b, "%s, %s", report.Count(r.Nodes, "node"), report.Count(r.Parameters, "parameter"))
	if len(r.Types) > 0 {
		fmt.Fprintf(&b, " (%s)", counts(r.Types))
	}
	b.WriteByte('\n')
	if len(r.Weights) > 0 {
		fmt.Fprintf(&b, "weights of few bits: %s\n", counts(weightFormats(r.Weights)))
	}
	if len(r.Flows) > 0 {
		fmt.Fprintf(&b, "activations of few bits: %s\n", counts(r.Flows))
	}
	for _, v := range r.Inputs {
		fmt.Fprintf(&b, "input   %s %s\n", v.Name, v.Type)
	}
	for _, v := range r.Outputs {
		fmt.Fprintf(&b, "output  %s %s\n", v.Name, v.Type)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Metadata)) {
		fmt.Fprintf(&b, "metadata %s: %s\n", k, strings.TrimSpace(r.Metadata[k]))
	}
	if err := a.printf("%s", &b); err != nil {
		return err
	}
	t := a.table("operator", "nodes", "")
	for _, name := range byCount(r.Ops) {
		note := ""
		if slices.Contains(r.Unknown, name) {
			note = "not supported"
		}
		t.row(name, r.Ops[name], note)
	}
	return t.print()
}

func inspection(m *lowbit.Model) (*inspectJSON, error) {
	g := m.Graph()
	bytes, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	r := &inspectJSON{Schema: "lowbit.inspect/v1", IR: g.IR, Opsets: map[string]int{}, Producer: g.Producer, Bytes: bytes,
		Inputs: []valueJSON{}, Outputs: []valueJSON{}, Weights: []weightJSON{}, Ops: map[string]int{}, Types: map[string]int{}, Unknown: []string{}, Functions: []string{}, Metadata: map[string]string{}}
	for _, o := range g.Opsets {
		r.Opsets[o.Domain] = o.Version
	}
	for _, v := range g.Graph.Required() {
		r.Inputs = append(r.Inputs, valueJSON{v.Name, v.Type.String()})
	}
	for _, v := range g.Graph.Out {
		r.Outputs = append(r.Outputs, valueJSON{v.Name, v.Type.String()})
	}
	for _, f := range g.Functions {
		r.Functions = append(r.Functions, f.Name)
	}
	for _, p := range g.Meta {
		r.Metadata[p.Key] = p.Value
	}
	count(g, r)
	r.Flows = pass.Flows(g)
	for _, f := range weight.Find(g) {
		r.Weights = append(r.Weights, weightJSON{plan.NodeName(f.Node), op.QualifiedName(f.Node), f.Name, f.Format.Name, f.Block.String(), f.Shape,
			float64(f.Bits()) / float64(max(1, tensor.Elements(f.Shape)))})
	}
	return r, nil
}

// opsets lists versions by domain.
func opsets(m map[string]int) string {
	var list []string
	for _, domain := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s %d", cmp.Or(domain, "ai.onnx"), m[domain]))
	}
	return strings.Join(list, ", ")
}

// weightFormats adds the weights up by format and block, one that several nodes read once.
func weightFormats(list []weightJSON) map[string]int {
	sum, seen := map[string]int{}, map[string]bool{}
	for _, w := range list {
		if !seen[w.Name] {
			sum[w.Format+":"+w.Block] += tensor.Elements(w.Shape)
		}
		seen[w.Name] = true
	}
	return sum
}

// count adds up nodes and parameters over all graphs. Exporters write weights as Constant nodes too.
func count(g *graph.Model, r *inspectJSON) {
	for n := range everyNode(g) {
		r.Nodes++
		name := op.QualifiedName(n)
		if r.Ops[name]++; r.Ops[name] == 1 && op.Lookup(n.Domain, n.Op) == nil && g.Function(n.Domain, n.Op, n.Overload) == nil {
			r.Unknown = append(r.Unknown, name)
		}
		if name != "Constant" {
			continue
		}
		if out, err := op.EvalConstant(n, g.Opset(""), nil, math.MaxInt); err == nil && out[0].Kind == tensor.Dense {
			r.holds(out[0])
		}
	}
	for s := range g.Graph.Graphs() {
		for _, c := range s.Consts() {
			r.holds(c.Tensor)
		}
	}
}

// holds counts the elements of a constant, if there is one.
func (r *inspectJSON) holds(t *tensor.Tensor) {
	if t != nil {
		r.Parameters += t.Len()
		r.Types[t.DType.String()] += t.Len()
	}
}

// byCount returns the keys, the most frequent first, then by name.
func byCount(m map[string]int) []string {
	keys := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(keys, func(a, b string) int { return m[b] - m[a] })
	return keys
}

func counts(m map[string]int) string {
	s := ""
	for i, k := range byCount(m) {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %d", k, m[k])
	}
	return s
}
