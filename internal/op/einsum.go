package op

import (
	"slices"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// An einsum is a parsed equation: the labels of every operand's axes and of the output's.
// The axes of an ellipsis take labels counted down from ellipsisEnd, so that operands align
// at their last one.
type einsum struct {
	in   [][]rune
	out  []rune
	wide int // axes of the widest ellipsis
}

// ellipsisEnd lies above all letters.
const ellipsisEnd = 1 << 20

// maxProducts bounds the terms that an equation may sum: about ten minutes of work.
const maxProducts = 1 << 36

// parseEinsum reads an equation for operands of the given ranks.
func parseEinsum(equation string, ranks []int) (*einsum, error) {
	equation = strings.ReplaceAll(equation, " ", "")
	left, right, explicit := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(ranks) {
		return nil, invalidf("equation %q has %d terms for %d operands", equation, len(terms), len(ranks))
	}
	e := &einsum{}
	count := map[rune]int{}
	for i, term := range terms {
		labels, dots, err := einsumLabels(term, ranks[i])
		if err != nil {
			return nil, err
		}
		e.in, e.wide = append(e.in, labels), max(e.wide, dots)
		for _, l := range labels {
			count[l]++
		}
	}
	if explicit {
		letters := len(strings.ReplaceAll(right, "...", ""))
		rank := letters
		if letters != len(right) {
			rank += e.wide
		}
		var err error
		e.out, _, err = einsumLabels(right, rank)
		if err != nil {
			return nil, err
		}
		return e, e.checkOutput(count)
	}
	for k := range e.wide {
		e.out = append(e.out, rune(ellipsisEnd-e.wide+k))
	}
	var once []rune
	for l, n := range count {
		if n == 1 && l < ellipsisEnd/2 {
			once = append(once, l)
		}
	}
	slices.Sort(once)
	e.out = append(e.out, once...)
	return e, nil
}

// checkOutput refuses output labels that no operand has or that repeat.
func (e *einsum) checkOutput(count map[rune]int) error {
	for i, l := range e.out {
		if count[l] == 0 || slices.Contains(e.out[:i], l) {
			return invalidf("output label %q is unknown or repeated", l)
		}
	}
	return nil
}

// einsumLabels returns the label of each of rank axes and how many of them the ellipsis takes.
func einsumLabels(term string, rank int) (labels []rune, dots int, err error) {
	head, tail, has := strings.Cut(term, "...")
	letters := head + tail
	for _, l := range letters {
		if !(l >= 'a' && l <= 'z' || l >= 'A' && l <= 'Z') {
			return nil, 0, invalidf("term %q is not made of letters", term)
		}
	}
	dots = rank - len(letters)
	if dots < 0 || dots > 0 && !has {
		return nil, 0, invalidf("term %q does not fit rank %d", term, rank)
	}
	labels = []rune(head)
	for k := range dots {
		labels = append(labels, rune(ellipsisEnd-dots+k))
	}
	return append(labels, []rune(tail)...), dots, nil
}

// sizes returns the size of every label. Size 1 broadcasts.
func (e *einsum) sizes(shapes [][]int) (map[rune]int, error) {
	size := map[rune]int{}
	for i, shape := range shapes {
		for k, l := range e.in[i] {
			switch have, ok := size[l]; {
			case !ok || have == 1:
				size[l] = shape[k]
			case shape[k] != 1 && shape[k] != have:
				return nil, invalidf("label %q is %d and %d", l, have, shape[k])
			}
		}
	}
	return size, nil
}

// loops returns all labels, those of the output first, with their sizes.
func (e *einsum) loops(size map[rune]int) (labels []rune, shape []int) {
	labels = slices.Clone(e.out)
	for _, term := range e.in {
		for _, l := range term {
			if !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	for _, l := range labels {
		shape = append(shape, size[l])
	}
	return labels, shape
}

// step returns how far an operand moves along each label; repeated labels walk its diagonal.
func (e *einsum) step(i int, shape []int, labels []rune) []int {
	own := strides(shape)
	step := make([]int, len(labels))
	for k, l := range e.in[i] {
		if shape[k] != 1 {
			step[slices.Index(labels, l)] += own[k]
		}
	}
	return step
}

// fitEinsum reads an equation for operands of the given shapes, with the size of every label.
func fitEinsum(equation string, shapes [][]int) (*einsum, map[rune]int, error) {
	ranks := make([]int, len(shapes))
	for i, s := range shapes {
		ranks[i] = len(s)
	}
	e, err := parseEinsum(equation, ranks)
	if err != nil {
		return nil, nil, err
	}
	size, err := e.sizes(shapes)
	return e, size, err
}

// Einsum returns the labels that an equation gives to the axes of operands of the given shapes and to those of the
// result, and the size of each: axes of size 1 are broadcast to it. Those of an ellipsis have labels of their own.
func Einsum(equation string, shapes [][]int) (in [][]rune, out []rune, size map[rune]int, err error) {
	e, size, err := fitEinsum(equation, shapes)
	if err != nil {
		return nil, nil, nil, err
	}
	return e.in, e.out, size, nil
}

func evalEinsum(c *Call) ([]*tensor.Tensor, error) {
	shapes := make([][]int, len(c.In))
	for i, t := range c.In {
		if t == nil {
			return nil, invalidf("operand %d is left out", i)
		}
		shapes[i] = t.Shape
	}
	e, size, err := fitEinsum(c.Str("equation", ""), shapes)
	if err != nil {
		return nil, err
	}
	labels, loops := e.loops(size)
	shape := loops[:len(e.out)]
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	if n, err := tensor.CheckedElements(loops); err != nil || n > maxProducts {
		return nil, fault.Limitf("", "labels of sizes %v have too many products", loops)
	}
	steps := make([][]int, len(c.In))
	for i := range c.In {
		steps[i] = e.step(i, shapes[i], labels)
	}
	if d := c.In[0].DType; d.IsInt() {
		in := make([][]int64, len(c.In))
		for i, t := range c.In {
			if in[i], err = ints(t); err != nil {
				return nil, err
			}
		}
		return one(fromInts(d, sumProducts(in, steps, shape, loops[len(shape):]), shape))
	}
	in, err := floatsOf(c.In...)
	if err != nil {
		return nil, err
	}
	return one(fromFloats(c.In[0].DType, sumProducts(in, steps, shape, loops[len(shape):]), shape))
}

// sumProducts computes for every position of shape the sum over the positions of inner of the
// product of all operands.
func sumProducts[T float64 | int64](in [][]T, steps [][]int, shape, inner []int) []T {
	y := make([]T, tensor.Elements(shape))
	outer, within := make([][]int, len(in)), make([][]int, len(in))
	for i, s := range steps {
		outer[i], within[i] = s[:len(shape)], s[len(shape):]
	}
	eachIndex(shape, outer, func(at int, base []int) {
		var sum T
		eachIndex(inner, within, func(_ int, off []int) {
			p := in[0][base[0]+off[0]]
			for k := 1; k < len(in); k++ {
				p *= in[k][base[k]+off[k]]
			}
			sum += p
		})
		y[at] = sum
	})
	return y
}

func inferEinsum(c *Inference) ([]Fact, error) {
	d := c.Input(0).DType
	ranks := make([]int, len(c.In))
	for i := range c.In {
		if !c.Input(i).Ranked {
			return Typed(graph.Unranked(d)), nil
		}
		ranks[i] = len(c.Input(i).Shape)
	}
	e, err := parseEinsum(c.Str("equation", ""), ranks)
	if err != nil {
		return nil, err
	}
	size := map[rune]graph.Dim{}
	for i := range c.In {
		for k, l := range e.in[i] {
			dim, have := c.Input(i).Shape[k], size[l]
			switch _, ok := size[l]; {
			case !ok || have.Size == 1 || dim.IsKnown() && dim.Size != 1 && !have.IsKnown():
				size[l] = dim
			case dim.IsKnown() && have.IsKnown() && dim.Size != 1 && dim.Size != have.Size:
				return nil, invalidf("label %q is %s and %s", l, have, dim)
			case !dim.IsKnown() && !have.IsKnown() && !dim.Same(have):
				size[l] = graph.Unknown
			}
		}
	}
	dims := make([]graph.Dim, len(e.out))
	for i, l := range e.out {
		dims[i] = size[l]
	}
	return Typed(graph.OfDims(d, dims)), nil
}
