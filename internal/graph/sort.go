package graph

import (
	"container/heap"

	"lowbit/internal/fault"
)

// Sort brings the nodes of every graph and function of m into evaluation order, see [Graph.Sort].
func (m *Model) Sort() error {
	for _, f := range m.Functions {
		if err := sortNodes(f.Nodes); err != nil {
			return fault.At("function "+f.Name, err)
		}
	}
	if m.Graph == nil {
		return nil
	}
	return m.Graph.Sort()
}

// Sort brings the nodes of g and of its subgraphs into evaluation order. Nodes that are in order
// stay where they are; the others keep their order as far as possible. It is an error if nodes
// wait for each other.
func (g *Graph) Sort() error { return sortNodes(g.Nodes) }

func sortNodes(nodes []*Node) error {
	for _, n := range nodes {
		for _, s := range n.Subgraphs() {
			if err := s.Sort(); err != nil {
				return err
			}
		}
	}
	order, stuck := evaluationOrder(nodes)
	if stuck >= 0 {
		return fault.Invalidf(nodes[stuck].Label(), "waits for its own result")
	}
	if order == nil {
		return nil
	}
	old := append([]*Node(nil), nodes...)
	for i, j := range order {
		nodes[i] = old[j]
	}
	return nil
}

// evaluationOrder returns the indices of nodes in an order in which each comes after what it
// reads, the lowest index first where there is a choice (Kahn). The order is nil if the nodes
// are in order as they stand. If they form a cycle, stuck is the first node in one, else -1.
func evaluationOrder(nodes []*Node) (order []int, stuck int) {
	producer := make(map[string]int, len(nodes))
	for i, n := range nodes {
		for _, name := range n.Out {
			if name != "" {
				producer[name] = i
			}
		}
	}
	if inOrder(nodes, producer) {
		return nil, -1
	}
	waits := make([]int, len(nodes))
	readers := make([][]int, len(nodes))
	for i, n := range nodes {
		n.EachRead(func(name string) {
			if p, ok := producer[name]; ok {
				waits[i]++
				readers[p] = append(readers[p], i)
			}
		})
	}
	order = drain(waits, readers)
	if len(order) == len(nodes) {
		return order, -1
	}
	return nil, inCycle(waits, readers)
}

// drain takes nodes that wait for nothing, one by one.
func drain(waits []int, readers [][]int) []int {
	var ready intHeap
	for i, w := range waits {
		if w == 0 {
			ready = append(ready, i)
		}
	}
	order := make([]int, 0, len(waits))
	for len(ready) > 0 {
		i := heap.Pop(&ready).(int)
		order = append(order, i)
		for _, r := range readers[i] {
			if waits[r]--; waits[r] == 0 {
				heap.Push(&ready, r)
			}
		}
	}
	return order
}

// inCycle returns a node that waits for itself, given what is left when no node is ready: going
// backwards from any waiting node leads into a cycle.
func inCycle(waits []int, readers [][]int) int {
	before := make([]int, len(waits))
	at := -1
	for i, w := range waits {
		if w == 0 {
			continue
		}
		for _, r := range readers[i] {
			before[r] = i
		}
		at = i
	}
	for range waits {
		at = before[at]
	}
	return at
}

func inOrder(nodes []*Node, producer map[string]int) bool {
	for i, n := range nodes {
		ok := true
		n.EachRead(func(name string) {
			if p, found := producer[name]; found && p >= i {
				ok = false
			}
		})
		if !ok {
			return false
		}
	}
	return true
}

// An intHeap is a heap of indices, the smallest on top.
type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
