package format

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/tensor"
)

// A Block is the shape of the groups that share one scale: the whole tensor, one slice along
// an axis, or Size consecutive elements along an axis.
type Block struct {
	Kind BlockKind
	Axis int  // of Channel and Group
	Size int  // of Group
	Flat bool // of Group: the axes from Axis on count as one
}

// BlockKind names the shape of a block.
type BlockKind uint8

// The kinds of block.
const (
	Whole   BlockKind = iota // one scale for the tensor
	Channel                  // one scale for each index along Axis
	Group                    // one scale for each Size elements along Axis
)

// String writes a block as flags and plans do: "tensor", "channel", "group=32".
func (b Block) String() string {
	switch b.Kind {
	case Channel:
		return "channel"
	case Group:
		return "group=" + strconv.Itoa(b.Size)
	}
	return "tensor"
}

// ParseBlock reads a block's text form; the axis is the caller's to set.
func ParseBlock(s string) (Block, error) {
	switch s {
	case "tensor":
		return Block{}, nil
	case "channel", "row":
		return Block{Kind: Channel}, nil
	}
	if n, ok := strings.CutPrefix(s, "group="); ok {
		if size, err := strconv.Atoi(n); err == nil && size > 0 {
			return Block{Kind: Group, Size: size}, nil
		}
	}
	return Block{}, fmt.Errorf("block %q is none of tensor, channel, group=N", s)
}

// ParamShape returns the shape of the scales of a tensor in blocks of b: [] for one scale,
// [C] by channel, and shape with ⌈D/Size⌉ along the axis by group (ONNX QuantizeLinear, block_size).
func (b Block) ParamShape(shape []int) []int {
	switch b.Kind {
	case Channel:
		return []int{shape[b.Axis]}
	case Group:
		s := slices.Clone(b.Fold(shape))
		s[b.Axis] = (s[b.Axis] + b.Size - 1) / b.Size
		return s
	}
	return []int{}
}

// Fold returns the shape in which a tensor is cut into blocks: with the axes from Axis on taken
// as one where the block is flat, else as it is.
func (b Block) Fold(shape []int) []int {
	if !b.Flat || b.Kind != Group {
		return shape
	}
	return append(slices.Clone(shape[:b.Axis]), tensor.Elements(shape[b.Axis:]))
}

// view folds a shape around the axis into (outer, axis, inner) and returns the number of
// elements along the axis that share a scale.
func (b Block) view(shape []int) (outer, axis, inner, run int) {
	if b.Kind == Whole {
		return 1, 1, tensor.Elements(shape), 1
	}
	shape = b.Fold(shape)
	outer, axis, inner = tensor.Elements(shape[:b.Axis]), shape[b.Axis], tensor.Elements(shape[b.Axis+1:])
	if b.Kind == Channel {
		return outer, axis, inner, 1
	}
	return outer, axis, inner, b.Size
}

// index returns which scale the element run at (outer o, axis a) and inner position i uses.
func (b Block) index(o, a, i, axis, inner, run int) int {
	switch b.Kind {
	case Channel:
		return a
	case Group:
		return (o*((axis+run-1)/run)+a/run)*inner + i
	}
	return 0
}

// Owners returns for each element of a tensor which of its parameters it takes, in the order of ParamShape.
func (b Block) Owners(shape []int) []int {
	own := make([]int, tensor.Elements(shape))
	outer, axis, inner, run := b.view(shape)
	for o := range outer {
		for a := range axis {
			for i := range inner {
				own[(o*axis+a)*inner+i] = b.index(o, a, i, axis, inner, run)
			}
		}
	}
	return own
}

// Ranges returns the minimum and maximum of the values of each block, in the order of ParamShape.
func (b Block) Ranges(x []float32, shape []int) (lo, hi []float32) {
	n := tensor.Elements(b.ParamShape(shape))
	lo, hi = make([]float32, n), make([]float32, n)
	b.runs(shape, len(x), func(at, n int, own owner) {
		for i, e := range x[at : at+n] {
			k := own.of(i)
			lo[k], hi[k] = min(lo[k], e), max(hi[k], e)
		}
	})
	return lo, hi
}

// Blocks returns the values of each block, in the order of ParamShape.
func (b Block) Blocks(x []float32, shape []int) [][]float32 {
	out := make([][]float32, tensor.Elements(b.ParamShape(shape)))
	if len(out) == 1 {
		out[0] = x
		return out
	}
	b.each(x, shape, func(k int, v []float32) { out[k] = slices.Clone(v) })
	return out
}

// each calls f with the values of each block, which are valid until it returns.
func (b Block) each(x []float32, shape []int, f func(k int, v []float32)) {
	outer, axis, inner, run := b.view(shape)
	switch {
	case b.Kind == Whole:
		f(0, x)
	case b.Kind == Channel && inner == 1:
		columns(x, axis, 0, f)
	case b.Kind == Channel:
		var v []float32
		for a := range axis {
			v = v[:0]
			for o := range outer {
				if row := x[(o*axis+a)*inner:][:inner]; outer == 1 {
					v = row
				} else {
					v = append(v, row...)
				}
			}
			f(a, v)
		}
	default:
		for o := range outer {
			for a := 0; a < axis; a += run {
				columns(x[(o*axis+a)*inner:][:min(run, axis-a)*inner], inner, b.index(o, a, 0, axis, inner, run), f)
			}
		}
	}
}

// tileColumns is how many columns are gathered at once: a cache line of them.
const tileColumns = 16

// columns calls f with each of n columns of a matrix, which are numbered from k.
func columns(x []float32, n, k int, f func(k int, v []float32)) {
	if n == 1 {
		f(k, x)
		return
	}
	rows := 0
	if n > 0 {
		rows = len(x) / n
	}
	pitch := rows + tileColumns // so that columns of a power of two do not share a place in the cache
	buf := make([]float32, tileColumns*pitch)
	for c := 0; c < n; c += tileColumns {
		w := min(tileColumns, n-c)
		for r := range rows {
			for j, v := range x[r*n+c:][:w] {
				buf[j*pitch+r] = v
			}
		}
		for j := range w {
			f(k+c+j, buf[j*pitch:][:rows])
		}
	}
}

// An owner tells which parameter each of some consecutive elements takes: all of them the first, or side by side
// each the one behind that of its neighbour.
type owner struct{ first, step int }

func (o owner) of(i int) int { return o.first + i*o.step }

// mostRun is how many elements a run has at most, so that what is kept of one is small.
const mostRun = 4096

// runs calls f with the elements of a tensor in order, in runs of consecutive ones whose owner can be told.
func (b Block) runs(shape []int, count int, f func(at, n int, own owner)) {
	outer, axis, inner, run := b.view(shape)
	split := func(at, n int, own owner) {
		for i := 0; i < n; i += mostRun {
			f(at+i, min(mostRun, n-i), owner{own.of(i), own.step})
		}
	}
	switch {
	case count == 0:
	case b.Kind == Channel && inner == 1:
		for o := range outer {
			split(o*axis, axis, owner{0, 1})
		}
	case b.Kind == Group && inner == 1:
		for o := range outer {
			for a := 0; a < axis; a += run {
				split(o*axis+a, min(run, axis-a), owner{b.index(o, a, 0, axis, inner, run), 0})
			}
		}
	default:
		step := 0
		if b.Kind == Group {
			step = 1
		}
		for o := range outer {
			for a := range axis {
				split((o*axis+a)*inner, inner, owner{b.index(o, a, 0, axis, inner, run), step})
			}
		}
	}
}

// QuantizeTensor writes a float32 tensor in format f with the parameters of each block and
// returns the codes, one for each element, of f's element type and the same shape.
func (f *Format) QuantizeTensor(t *tensor.Tensor, b Block, p []Params) (*tensor.Tensor, error) {
	if !f.bytes() {
		codes, err := f.QuantizeCodes(t, b, p)
		if err != nil {
			return nil, err
		}
		return f.CodeTensor(codes, t.Shape)
	}
	if err := b.fits(t, p); err != nil {
		return nil, err
	}
	x, p := tensor.Of[float32](t), f.Settle(p)
	codes := tensor.New(f.Elem, t.Shape...)
	b.runs(t.Shape, len(x), func(at, n int, own owner) {
		run, x := codes.Raw[at:at+n], x[at:at+n]
		if own.step == 0 && n >= leastBytes {
			f.encodeNarrow(run, x, p[own.first])
			return
		}
		for i, v := range x {
			run[i] = byte(f.gridCode(v, p[own.of(i)]))
		}
	})
	return codes, nil
}

// bytes says whether the codes are whole numbers that a tensor holds as a byte each.
func (f *Format) bytes() bool {
	return f.grid() && (f.Elem == tensor.Int8 || f.Elem == tensor.Uint8)
}

// fits says why a tensor cannot be written with some parameters in blocks of b, nil where it can.
func (b Block) fits(t *tensor.Tensor, p []Params) error {
	if t.DType != tensor.Float32 {
		return fmt.Errorf("%s tensor where float is wanted", t.DType)
	}
	if n := tensor.Elements(b.ParamShape(t.Shape)); n != len(p) {
		return fmt.Errorf("%d parameters for %d blocks", len(p), n)
	}
	return nil
}

// QuantizeCodes is QuantizeTensor that returns the bare codes.
func (f *Format) QuantizeCodes(t *tensor.Tensor, b Block, p []Params) ([]int32, error) {
	if err := b.fits(t, p); err != nil {
		return nil, err
	}
	x := tensor.Of[float32](t)
	p = f.Settle(p)
	codes := make([]int32, len(x))
	b.runs(t.Shape, len(x), func(at, n int, own owner) { f.encodeRun(codes[at:at+n], x[at:at+n], p, own) })
	return codes, nil
}

// encodeRun is Encode of a run of elements.
func (f *Format) encodeRun(codes []int32, x []float32, p []Params, own owner) {
	switch {
	case own.step == 0:
		f.Encode(codes, x, p[own.first])
	case f.grid():
		p = p[own.first:][:len(x)]
		for i, v := range x {
			codes[i] = f.gridCode(v, p[i])
		}
	default:
		for i := range x {
			f.Encode(codes[i:i+1], x[i:i+1], p[own.of(i)])
		}
	}
}

// decodeRun is Decode of a run of elements.
func (f *Format) decodeRun(x []float32, codes []int32, p []Params, own owner) {
	switch {
	case own.step == 0:
		f.Decode(x, codes, p[own.first])
	case f.grid():
		p = p[own.first:][:len(x)]
		for i, c := range codes {
			x[i] = float32(c-p[i].Zero) * p[i].Scale
		}
	default:
		for i, c := range codes {
			x[i] = f.Mark(c) * p[own.of(i)].Scale
		}
	}
}

// TensorSQNR is the SQNR of a float32 tensor against what its codes mean, given the parameters of each block.
func (f *Format) TensorSQNR(t *tensor.Tensor, b Block, p []Params) (float64, error) {
	if err := b.fits(t, p); err != nil {
		return 0, err
	}
	p = f.Settle(p)
	x := tensor.Of[float32](t)
	codes, back := make([]int32, mostRun), make([]float32, mostRun)
	var r ratio
	b.runs(t.Shape, len(x), func(at, n int, own owner) {
		f.encodeRun(codes[:n], x[at:at+n], p, own)
		f.decodeRun(back[:n], codes[:n], p, own)
		r.add(x[at:at+n], back[:n])
	})
	return r.dB(), nil
}

// CodeTensor stores codes as a tensor of type Elem and some shape.
func (f *Format) CodeTensor(codes []int32, shape []int) (*tensor.Tensor, error) {
	if m := miniFloats[f.Elem]; m != nil {
		t := tensor.New(f.Elem, shape...)
		for i, c := range codes {
			if m.width() == 16 {
				t.Raw[2*i], t.Raw[2*i+1] = byte(c), byte(c>>8)
			} else {
				t.Raw[i] = byte(c)
			}
		}
		return t, nil
	}
	return FromInts(f.Elem, codes, shape...)
}

// TensorCodes returns the codes that a tensor of type Elem holds, the inverse of CodeTensor.
func (f *Format) TensorCodes(t *tensor.Tensor) ([]int32, error) {
	out := make([]int32, t.Len())
	if m := miniFloats[t.DType]; m != nil {
		for i := range out {
			if m.width() == 16 {
				out[i] = int32(t.Raw[2*i]) | int32(t.Raw[2*i+1])<<8
			} else {
				out[i] = int32(t.Raw[i])
			}
		}
		return out, nil
	}
	if bytes, signed, ok := tensor.CodeBytes(t); ok {
		for i, c := range bytes {
			if out[i] = int32(c); signed {
				out[i] = int32(int8(c))
			}
		}
		return out, nil
	}
	wide, err := t.Ints()
	for i := range wide {
		out[i] = int32(wide[i])
	}
	return out, err
}

// DequantizeTensor is the inverse of QuantizeTensor.
func (f *Format) DequantizeTensor(codes *tensor.Tensor, b Block, p []Params) (*tensor.Tensor, error) {
	y := tensor.New(tensor.Float32, codes.Shape...)
	if f.bytes() && codes.DType == f.Elem {
		x, p := tensor.Of[float32](y), f.Settle(p)
		b.runs(codes.Shape, len(x), func(at, n int, own owner) { f.decodeNarrow(x[at:at+n], codes.Raw[at:at+n], p, own) })
		return y, nil
	}
	list, err := f.TensorCodes(codes)
	if err != nil {
		return nil, err
	}
	f.DecodeBlocks(tensor.Of[float32](y), codes.Shape, list, b, f.Settle(p))
	return y, nil
}

// DecodeBlocks writes what the codes of a tensor of some shape mean, given the parameters of each
// block, whose scales are taken as they are.
func (f *Format) DecodeBlocks(y []float32, shape []int, codes []int32, b Block, p []Params) {
	b.runs(shape, len(y), func(at, n int, own owner) { f.decodeRun(y[at:at+n], codes[at:at+n], p, own) })
}
