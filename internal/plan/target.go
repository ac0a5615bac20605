package plan

import "slices"

// A Target is a runtime that quantized files are made for.
type Target struct {
	Name string
	Doc  string
	// Float lists operators that run faster, or more exactly than eight bits allow, in float.
	Float []string
	// Acts is the activation format it computes fastest with.
	Acts string
	// Timed is set where each node is timed on this machine, and stays in float unless that is slower.
	Timed bool
}

// cpuFloat lists what CPUs compute in float.
var cpuFloat = []string{"Softmax", "LogSoftmax", "LayerNormalization", "Exp", "Log", "Erf", "Gelu", "Pow", "Sqrt", "Div", "Sub", "Tanh", "LSTM", "GRU", "RNN"}

// Targets lists the targets in the order that help prints them.
var Targets = []*Target{
	{Name: "ort-cpu", Doc: "ONNX Runtime and lowbit's own engine on CPUs", Acts: "uint8", Float: cpuFloat},
	{Name: "this", Doc: "lowbit's own engine on this machine: nodes that are slower in few bits stay in float", Acts: "uint8", Float: cpuFloat, Timed: true},
}

// LookupTarget returns the target of that name, or nil.
func LookupTarget(name string) *Target {
	i := slices.IndexFunc(Targets, func(t *Target) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return Targets[i]
}
