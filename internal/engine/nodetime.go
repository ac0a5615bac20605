package engine

import (
	"cmp"
	"slices"
	"time"
)

// A NodeTime is what one ONNX node costs in two programs that both have it.
type NodeTime struct {
	Node         string // label
	Time, Before time.Duration
}

// Loss is how much longer the node takes than before.
func (n NodeTime) Loss() time.Duration { return n.Time - n.Before }

// CompareSteps adds up the steps of a program, and of the one that it was made from, by the nodes that
// both have; the greatest loss comes first. A step of a node that only one has counts for the common one
// in front of it, or for the first: conversions and moves are part of what a node costs.
func CompareSteps(steps, before []StepTime) []NodeTime {
	both := commonNodes(steps, before)
	ours, theirs := nodeTimes(steps, both), nodeTimes(before, both)
	var list []NodeTime
	for name, t := range ours {
		list = append(list, NodeTime{name, t, theirs[name]})
	}
	slices.SortFunc(list, func(a, b NodeTime) int { return cmp.Or(cmp.Compare(b.Loss(), a.Loss()), cmp.Compare(a.Node, b.Node)) })
	return list
}

func commonNodes(a, b []StepTime) map[string]bool {
	first, both := map[string]bool{}, map[string]bool{}
	for _, t := range a {
		first[t.Node] = true
	}
	for _, t := range b {
		both[t.Node] = first[t.Node]
	}
	return both
}

func nodeTimes(steps []StepTime, names map[string]bool) map[string]time.Duration {
	sum, early, last := map[string]time.Duration{}, time.Duration(0), ""
	for _, t := range steps {
		if names[t.Node] {
			last = t.Node
		}
		if last == "" {
			early += t.Time
			continue
		}
		sum[last] += early + t.Time
		early = 0
	}
	return sum
}
