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
	"lowbit/internal/tensor"
)

// openToRun opens a model that is to be run, and refuses one with operators that are missing: all
// of them at once, before any work.
func (a *app) openToRun(path string) (*lowbit.Model, error) {
	m, err := a.open(path)
	if err != nil {
		return nil, err
	}
	if err := missingOps(m); err != nil {
		m.Close()
		return nil, err
	}
	if v := m.Graph().Opset(""); v > 0 && v < oldestOpset {
		a.warn("%s: opset %d is older than %d: operators are taken for those of %d", path, v, oldestOpset, oldestOpset)
	}
	return m, nil
}

// open opens a model, within what is allowed.
func (a *app) open(path string) (*lowbit.Model, error) {
	return lowbit.OpenLimited(path, lowbit.Limits{Memory: int64(a.memory), ModelBytes: int64(a.model), AllowHardlinks: a.links})
}

// openBoth opens two models that are to be run. close is to be called after their last use.
func (a *app) openBoth(pathA, pathB string) (ma, mb *lowbit.Model, close func(), err error) {
	if ma, err = a.openToRun(pathA); err != nil {
		return nil, nil, nil, err
	}
	if mb, err = a.openToRun(pathB); err != nil {
		ma.Close()
		return nil, nil, nil, err
	}
	return ma, mb, func() { ma.Close(); mb.Close() }, nil
}

// newestOpset is the version of the default domain up to which the meaning of operators is known.
// Before oldestOpset there were operators that broadcast in other ways.
const oldestOpset, newestOpset = 7, 28

// missingOps names what a model needs and lowbit lacks: operators, each with the number of its nodes,
// and a version that is too new.
func missingOps(m *lowbit.Model) error {
	count := map[string]int{}
	for n := range everyNode(m.Graph()) {
		if o := op.Lookup(n.Domain, n.Op); (o == nil || o.Eval == nil) && m.Graph().Function(n.Domain, n.Op, n.Overload) == nil {
			count[op.QualifiedName(n)]++
		}
	}
	var list []string
	for name, n := range count {
		list = append(list, fmt.Sprintf("%s (%d)", name, n))
	}
	slices.Sort(list)
	var lacks []string
	if len(list) > 0 {
		lacks = append(lacks, "operators that are not implemented, with the number of their nodes: "+strings.Join(list, ", "))
	}
	if v := m.Graph().Opset(""); v > newestOpset {
		lacks = append(lacks, fmt.Sprintf("opset %d, newer than %d", v, newestOpset))
	}
	if len(lacks) == 0 {
		return nil
	}
	return fault.Unsupportedf(m.Path(), "%s", strings.Join(lacks, "; "))
}

// everyNode yields the nodes of all graphs and of all functions.
func everyNode(m *graph.Model) func(yield func(*graph.Node) bool) {
	return func(yield func(*graph.Node) bool) {
		bodies := []*graph.Graph{m.Graph}
		for _, f := range m.Functions {
			bodies = append(bodies, &graph.Graph{Nodes: f.Nodes})
		}
		for _, g := range bodies {
			for _, n := range g.AllNodes() {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// backend is the flag that chooses what computes.
type backend string

func (b *backend) add(cmd *cobra.Command) {
	*b = "engine"
	cmd.Flags().StringVar((*string)(b), "backend", "engine", "engine, or reference: each operator by its plain definition")
}

func (b backend) check() error { return oneOf("--backend", string(b), "engine", "reference") }

// compile prepares a model to run by that backend, and refuses a load that is too much for it.
func (a *app) compile(m *lowbit.Model, b backend, l load, watch ...string) (*lowbit.Session, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if err := a.admit(m, l); err != nil {
		return nil, err
	}
	s, err := m.Compile(lowbit.CompileOptions{Threads: a.threads, Seed: a.seed, Reference: b == "reference", Watch: watch})
	return s, fault.At(m.Path(), err)
}

// A feed is one run's inputs.
type feed = map[string]*tensor.Tensor
