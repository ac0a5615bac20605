package op

import (
	"encoding/binary"
	"slices"

	"lowbit/internal/tensor"
)

// cells are the elements of a tensor for operators that move values without looking at them:
// size bytes each, or strings. Elements smaller than a byte take one byte each.
type cells struct {
	raw  []byte
	str  []string
	size int
}

// cellsOf returns the elements of t, sharing memory where they are whole bytes.
func cellsOf(t *tensor.Tensor) cells {
	switch bits := t.DType.Bits(); {
	case bits == 0:
		return cells{str: t.Str}
	case bits < 8:
		return cells{raw: tensor.Unpack(t), size: 1}
	default:
		return cells{raw: t.Raw, size: bits / 8}
	}
}

// newCells returns zeroed elements for a result of the given shape.
func newCells(d tensor.DType, shape []int) (cells, error) {
	n, err := checkSize(d, shape)
	if err != nil {
		return cells{}, err
	}
	if d == tensor.String {
		return cells{str: make([]string, n)}, nil
	}
	size := max(1, d.Bits()/8)
	return cells{raw: tensor.Aligned[byte](n * size), size: size}, nil
}

// tensor returns the elements as a tensor, packed where the type is smaller than a byte.
func (c cells) tensor(d tensor.DType, shape []int) *tensor.Tensor {
	switch bits := d.Bits(); {
	case bits == 0:
		return tensor.Strings(c.str, shape...)
	case bits < 8:
		return tensor.Pack(d, c.raw, shape...)
	}
	return &tensor.Tensor{DType: d, Shape: slices.Clone(shape), Raw: c.raw}
}

// copy sets n elements from position at on to those of src from position from on.
func (c cells) copy(at int, src cells, from, n int) {
	if c.str != nil {
		copy(c.str[at:at+n], src.str[from:from+n])
		return
	}
	copy(c.raw[at*c.size:(at+n)*c.size], src.raw[from*c.size:])
}

// fill sets n elements from position at on to one element of src.
func (c cells) fill(at, n int, src cells, from int) {
	if n <= 0 {
		return
	}
	c.copy(at, src, from, 1)
	for done := 1; done < n; done *= 2 {
		c.copy(at+done, c, at, min(done, n-done))
	}
}

// copyStep sets n elements from position at on to every step-th one of src.
func (c cells) copyStep(at int, src cells, from, step, n int) {
	switch {
	case step == 1 || n == 1:
		c.copy(at, src, from, n)
	case step == 0:
		c.fill(at, n, src, from)
	case c.size == 4:
		dst := c.raw[at*4 : (at+n)*4]
		for i := range n {
			binary.LittleEndian.PutUint32(dst[i*4:], binary.LittleEndian.Uint32(src.raw[(from+i*step)*4:]))
		}
	case c.size == 1:
		dst := c.raw[at : at+n]
		for i := range dst {
			dst[i] = src.raw[from+i*step]
		}
	default:
		for i := range n {
			c.copy(at+i, src, from+i*step, 1)
		}
	}
}

// gather fills c with the runs of elements that begin at the given positions of src.
func (c cells) gather(src cells, pos []int, run int) {
	switch run * c.size {
	case 4:
		for i, p := range pos {
			binary.LittleEndian.PutUint32(c.raw[i*4:], binary.LittleEndian.Uint32(src.raw[p*c.size:]))
		}
	case 8:
		for i, p := range pos {
			binary.LittleEndian.PutUint64(c.raw[i*8:], binary.LittleEndian.Uint64(src.raw[p*c.size:]))
		}
	default:
		for i, p := range pos {
			c.copy(i*run, src, p, run)
		}
	}
}

// scatter sets the runs of elements that begin at the given positions to those of src in turn.
func (c cells) scatter(pos []int, src cells, run int) {
	switch run * c.size {
	case 4:
		for i, p := range pos {
			binary.LittleEndian.PutUint32(c.raw[p*c.size:], binary.LittleEndian.Uint32(src.raw[i*4:]))
		}
	case 8:
		for i, p := range pos {
			binary.LittleEndian.PutUint64(c.raw[p*c.size:], binary.LittleEndian.Uint64(src.raw[i*8:]))
		}
	default:
		for i, p := range pos {
			c.copy(p, src, i*run, run)
		}
	}
}

// copyStrided fills c, of the given shape, from src: element (i0,i1,…) comes from position
// start + Σ ik·step[k].
func (c cells) copyStrided(shape []int, src cells, start int, step []int) {
	shape, steps := collapse(shape, step)
	if tensor.Elements(shape) == 0 {
		return
	}
	last := len(shape) - 1
	if last < 0 {
		c.copy(0, src, start, 1)
		return
	}
	run, step := shape[last], steps[0]
	eachIndex(shape[:last], [][]int{step[:last]}, func(i int, off []int) {
		c.copyStep(i*run, src, start+off[0], step[last], run)
	})
}

// collapse joins neighbouring axes that one stride can walk in each of the lists of strides.
func collapse(shape []int, steps ...[]int) (outShape []int, outSteps [][]int) {
	outSteps = make([][]int, len(steps))
	for k, d := range shape {
		if d == 1 {
			continue
		}
		n := len(outShape)
		joins := n > 0
		for j, step := range steps {
			joins = joins && outSteps[j][n-1] == step[k]*d
		}
		if joins {
			n--
			d *= outShape[n]
		}
		outShape = append(outShape[:n], d)
		for j, step := range steps {
			outSteps[j] = append(outSteps[j][:n], step[k])
		}
	}
	return outShape, outSteps
}

// strided returns a tensor of the given shape whose elements are t's, as copyStrided takes them.
func strided(t *tensor.Tensor, shape []int, start int, step []int) (*tensor.Tensor, error) {
	dst, err := newCells(t.DType, shape)
	if err != nil {
		return nil, err
	}
	dst.copyStrided(shape, cellsOf(t), start, step)
	return dst.tensor(t.DType, shape), nil
}
