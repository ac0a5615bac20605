package dataset

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// pickers are the operators that pick rows of tables by whole numbers, with the operand that picks and that of the
// table, a pair for each table.
var pickers = map[string][][2]int{
	"Gather": {{1, 0}}, "GatherBlockQuantized": {{1, 0}}, "EmbedLayerNormalization": {{0, 2}, {1, 4}},
}

// movers are the operators whose first operand's numbers come out as they are.
var movers = map[string]bool{
	"Cast": true, "Identity": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true,
	"Transpose": true, "Slice": true, "Expand": true,
}

// Tables returns how many rows the tables have that inputs of whole numbers pick from, as words do from embeddings,
// by input; of several tables the fewest.
func Tables(g *graph.Graph) map[string]int {
	index, rows := g.Index(), map[string]int{}
	for _, in := range g.Required() {
		if !in.Type.IsTensor() || in.Type.DType.Class() == tensor.ClassFloat {
			continue
		}
		names := []string{in.Name}
		for i := 0; i < len(names); i++ {
			for _, use := range index.Uses(names[i]) {
				if n := tableRows(g, index, use); n > 0 && (rows[in.Name] == 0 || n < rows[in.Name]) {
					rows[in.Name] = n
				}
				if use.In == 0 && movers[use.Node.Op] && !slices.Contains(names, use.Node.Out[0]) {
					names = append(names, use.Node.Out[0])
				}
			}
		}
	}
	return rows
}

// tableRows returns how many rows the table has that an operand picks from, 0 where it picks none or the table is
// computed.
func tableRows(g *graph.Graph, index *graph.Index, use graph.Use) int {
	for _, p := range pickers[use.Node.Op] {
		if p[0] != use.In || p[1] >= len(use.Node.In) {
			continue
		}
		shape := constantShape(g, index, use.Node.In[p[1]])
		axis := use.Node.Int("axis", 0)
		if axis < 0 {
			axis += len(shape)
		}
		if axis >= 0 && axis < len(shape) {
			return shape[axis]
		}
	}
	return 0
}

// constantShape returns the shape of a constant, which may be stored in fewer bits; nil of what is computed.
func constantShape(g *graph.Graph, index *graph.Index, name string) []int {
	for {
		if c := g.Const(name); c != nil {
			if c.Sparse != nil {
				return c.Sparse.Shape
			}
			return c.Tensor.Shape
		}
		n := index.Producer(name)
		switch {
		case n == nil:
			return nil
		case n.Op == "Constant":
			if t := n.Tensor("value"); t != nil {
				return t.Shape
			}
			return nil
		case n.Op != "Cast" && n.Op != "Identity" && n.Op != "DequantizeLinear":
			return nil
		}
		name = n.In[0]
	}
}

// whole is how the whole numbers of an input are drawn: below most, or as a mask of words that are there.
type whole struct {
	most uint64
	mask bool
}

// wholeNumbers says how each input of whole numbers is drawn: what picks from a table from all of it, and what picks
// from none but has the shape of words is taken for their mask.
func wholeNumbers(inputs []*graph.Value, shapes [][]int, tables map[string]int) []whole {
	list := make([]whole, len(inputs))
	for k, v := range inputs {
		list[k].most = randomTokens
		if n := tables[v.Name]; n > 0 {
			list[k].most = uint64(n)
			continue
		}
		for i, w := range inputs {
			if tables[w.Name] > 0 && len(shapes[i]) > 1 && slices.Equal(shapes[i], shapes[k]) && !v.Type.DType.IsFloat() {
				list[k] = whole{most: 2, mask: true}
			}
		}
	}
	return list
}

// fill draws numbers. A mask has ones, and behind them zeros in no more than half of its last axis.
func (w whole) fill(x []float64, shape []int, rng *rand.PCG) {
	if !w.mask {
		for j := range x {
			x[j] = float64(rng.Uint64() % w.most)
		}
		return
	}
	n := shape[len(shape)-1]
	there := n
	for j := range x {
		if j%n == 0 {
			there = n - int(rng.Uint64()%uint64(n/2+1))
		}
		if j%n < there {
			x[j] = 1
		}
	}
}

// String says it in a warning.
func (w whole) String() string {
	if w.mask {
		return "a mask"
	}
	return fmt.Sprintf("0 to %d", w.most-1)
}
