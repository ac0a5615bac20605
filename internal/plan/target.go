package plan

import (
	"fmt"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// A Target is a runtime that quantized files are made for.
type Target struct {
	Name string
	Doc  string
	// Float lists operators that run faster, or more exactly than eight bits allow, in float.
	Float []string
	// Flows lists operators that it computes no slower in float, and exactly, where both operands flow.
	Flows []string
	// Sluggish lists operators that it takes several times as long for in mode dynamic as in float.
	Sluggish []string
	// Acts is the activation format it computes fastest with.
	Acts string
	// Lacks lists operators that it cannot run, each from one of its versions on.
	Lacks map[string]int
	// Pairs says on which machines it adds products of uint8 and int8 in pairs of 16 bits, which may be too
	// few; "" where it does nowhere. bench/ort_pairs.py shows it.
	Pairs string
	// Stores is set where its optimizer stores the float weights of layers between codes as int8 with one scale, and
	// multiplies stored matrices with activations of eight bits.
	Stores bool
	// Timed is set where each node is timed on this machine, and stays in float unless that is slower.
	Timed bool
}

// cpuFloat lists what CPUs compute in float.
var cpuFloat = []string{"Softmax", "LogSoftmax", "LayerNormalization", "Exp", "Log", "Erf", "Gelu", "Pow", "Sqrt", "Div", "Sub", "Tanh", "LSTM", "GRU", "RNN"}

// cpuFlows lists what CPUs compute in float between values that flow: to make codes of both takes longer
// than the integer product saves. bench/attention.py measures it.
var cpuFlows = []string{"MatMul"}

// ortSluggish: ConvInteger has no fast kernel in ONNX Runtime 1.32. MobileNetV2 takes 8 times as long as in float,
// ResNet50 3.4 times (bench/latency.py).
var ortSluggish = []string{"Conv"}

// ortLacks lists the operators of the default domain for which ONNX Runtime 1.32 registers no kernel on CPUs,
// from the version on that it does not know. Bernoulli, SwiGLU and Swish are functions that end in such.
// bench/ort_lacks.py prints it.
var ortLacks = map[string]int{
	"Bernoulli": 22, "DequantizeLinear": 28, "GlobalLpPool": 22, "MaxRoiPool": 22, "Multinomial": 22,
	"Optional": 28, "OptionalGetElement": 28, "OptionalHasElement": 28, "QuantizeLinear": 28, "RandomNormal": 22,
	"RandomNormalLike": 22, "RandomUniform": 22, "RandomUniformLike": 22, "RoiAlign": 22, "SwiGLU": 28, "Swish": 24,
}

// Targets lists the targets in the order that help prints them.
var Targets = []*Target{
	{Name: "ort-cpu", Doc: "ONNX Runtime and lowbit's own engine on CPUs", Acts: "uint8", Float: cpuFloat, Flows: cpuFlows, Sluggish: ortSluggish, Lacks: ortLacks, Pairs: "CPUs without VNNI", Stores: true},
	{Name: "this", Doc: "lowbit's own engine on this machine: nodes that are slower in few bits stay in float", Acts: "uint8", Float: cpuFloat, Flows: cpuFlows, Timed: true},
}

// LookupTarget returns the target of that name, or nil.
func LookupTarget(name string) *Target {
	i := slices.IndexFunc(Targets, func(t *Target) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return Targets[i]
}

// Newest is the newest opset up to that given at which the target has an operator.
func (t *Target) Newest(name string, opset int) int {
	if from := t.Lacks[name]; from > 0 {
		return min(opset, from-1)
	}
	return opset
}

// Missing names the operators of m that the target lacks, each with its version and the number of its nodes.
func (t *Target) Missing(m *graph.Model) []string {
	count := map[string]int{}
	note := func(g *graph.Graph, opset func(domain string) int) {
		for _, n := range g.AllNodes() {
			o, name := op.Lookup(n.Domain, n.Op), op.QualifiedName(n)
			if from := t.Lacks[name]; from == 0 || o == nil || m.Function(n.Domain, n.Op, n.Overload) != nil {
				continue
			} else if s := o.Schema(opset(n.Domain)); s != nil && s.Since >= from {
				count[fmt.Sprintf("%s-%d", name, s.Since)]++
			}
		}
	}
	note(m.Graph, m.Opset)
	for _, f := range m.Functions {
		note(&graph.Graph{Nodes: f.Nodes}, f.Opset)
	}
	var list []string
	for name, n := range count {
		list = append(list, fmt.Sprintf("%s (%d)", name, n))
	}
	slices.Sort(list)
	return list
}
