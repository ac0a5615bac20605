package engine

// lowerings lists for each kind of node the fast paths to try, in order.
var lowerings map[string][]lowering

func init() {
	lowerings = map[string][]lowering{
		"conv":     {lowerConv},
		"gemm":     {lowerGemm},
		"function": {lowerFunction},

		"Add": {lowerBinary}, "Sub": {lowerBinary}, "Mul": {lowerBinary}, "Div": {lowerBinary},
		"Min": {lowerBinary}, "Max": {lowerBinary}, "Sum": {lowerBinary}, "PRelu": {lowerBinary},

		"MaxPool": {lowerPool}, "AveragePool": {lowerPool},
		"GlobalMaxPool": {lowerGlobalPool}, "GlobalAveragePool": {lowerGlobalPool},

		"Identity": {lowerIdentity}, "Dropout": {lowerIdentity}, "Cast": {lowerIdentity},
		"Reshape": {lowerReshape}, "Flatten": {lowerReshape}, "Squeeze": {lowerReshape}, "Unsqueeze": {lowerReshape},
		"Transpose": {lowerTranspose}, "Concat": {lowerConcat}, "Slice": {lowerSlice}, "Split": {lowerSplit}, "Expand": {lowerExpand},
	}
}

// A pass rewrites the network before it is lowered.
type pass struct {
	name string
	run  func(g *net)
}

// passes lists the rewrites in the order in which they run.
var passes = []pass{
	{"simplify", simplify},
	{"fold constants", func(g *net) { g.fold() }},
	{"find functions", findFunctions},
	{"find gates", findGates},
	{"find convolutions", findConvs},
	{"find products", findGemms},
	{"fuse", fuse},
}
