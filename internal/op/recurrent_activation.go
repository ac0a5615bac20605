package op

import (
	"math"
	"strings"

	"lowbit/internal/graph"
)

// A gateFunc is an activation of RNN, GRU and LSTM. uses says how many of alpha and beta it takes.
type gateFunc struct {
	name        string
	uses        int
	alpha, beta float64 // defaults
	f           func(x, alpha, beta float64) float64
}

var gateFuncs = []gateFunc{
	{"sigmoid", 0, 0, 0, func(x, _, _ float64) float64 { return sigmoid(x) }},
	{"tanh", 0, 0, 0, func(x, _, _ float64) float64 { return math.Tanh(x) }},
	{"relu", 0, 0, 0, func(x, _, _ float64) float64 { return relu(x) }},
	{"affine", 2, 1, 0, func(x, a, b float64) float64 { return float64(a*x) + b }},
	{"leakyrelu", 1, 0.01, 0, func(x, a, _ float64) float64 {
		if x < 0 {
			return a * x
		}
		return x
	}},
	{"thresholdedrelu", 1, 1, 0, func(x, a, _ float64) float64 {
		if x > a {
			return x
		}
		return 0
	}},
	{"scaledtanh", 2, 1, 1, func(x, a, b float64) float64 { return a * math.Tanh(b*x) }},
	{"hardsigmoid", 2, 0.2, 0.5, func(x, a, b float64) float64 { return clamp(float64(a*x)+b, 0, 1) }},
	{"elu", 1, 1, 0, func(x, a, _ float64) float64 {
		if x < 0 {
			return a * math.Expm1(x)
		}
		return x
	}},
	{"softsign", 0, 0, 0, func(x, _, _ float64) float64 { return softsign(x) }},
	{"softplus", 0, 0, 0, func(x, _, _ float64) float64 { return softplus(x) }},
}

// bindActivations resolves a node's activations, which take their alpha and beta from the
// attributes in order; names defaults to def for each direction.
func bindActivations(n *graph.Node, def []string, dirs int) ([]func(float64) float64, error) {
	names := n.Strs("activations")
	if len(names) == 0 {
		for range dirs {
			names = append(names, def...)
		}
	}
	if len(names) != dirs*len(def) {
		return nil, invalidf("%d activations, %d are needed", len(names), dirs*len(def))
	}
	alphas, betas := n.Floats("activation_alpha"), n.Floats("activation_beta")
	var out []func(float64) float64
	for _, name := range names {
		a, err := gateFuncOf(name)
		if err != nil {
			return nil, err
		}
		alpha, beta := a.alpha, a.beta
		if a.uses > 0 && len(alphas) > 0 {
			alpha, alphas = float64(alphas[0]), alphas[1:]
		}
		if a.uses > 1 && len(betas) > 0 {
			beta, betas = float64(betas[0]), betas[1:]
		}
		out = append(out, func(x float64) float64 { return a.f(x, alpha, beta) })
	}
	return out, nil
}

func gateFuncOf(name string) (*gateFunc, error) {
	for i := range gateFuncs {
		if strings.EqualFold(gateFuncs[i].name, name) {
			return &gateFuncs[i], nil
		}
	}
	return nil, invalidf("activation %q is not known", name)
}
