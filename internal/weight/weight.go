// Package weight spells constants of few bits as ONNX nodes, and reads such nodes back.
//
// A file has to mean the same to every runtime, so codes reach real numbers by standard
// operators alone: DequantizeLinear where an element type holds the codes, else Gather from the
// marks of the format, times the scale. Codes that no element type holds are packed into bytes,
// from which Gather picks several at once.
package weight

import (
	"fmt"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// A Coded is a constant in few bits.
type Coded struct {
	Format *format.Format
	Block  format.Block
	Shape  []int
	Codes  []int32         // of each element
	Params []format.Params // of each block
	Scales *format.Scales  // the scales in their own format; nil where they are plain
}

// Encode writes a float32 tensor in a format with the parameters of each block.
func Encode(t *tensor.Tensor, f *format.Format, b format.Block, p []format.Params) (*Coded, error) {
	codes, err := f.QuantizeCodes(t, b, p)
	if err != nil {
		return nil, err
	}
	c := &Coded{Format: f, Block: b, Shape: t.Shape, Codes: codes, Params: f.Settle(p)}
	if f.Scale != nil {
		c.Scales = f.Scale.Encode(scalesOf(p))
	}
	return c, nil
}

// plain says whether the constant is int8 codes times a scale, of all or of each channel.
func (c *Coded) plain() bool {
	return c.Format == format.Int8 && c.Block.Kind != format.Group && !slices.ContainsFunc(c.Params, func(p format.Params) bool { return p.Zero != 0 })
}

func scalesOf(p []format.Params) []float32 {
	list := make([]float32, len(p))
	for i, q := range p {
		list[i] = q.Scale
	}
	return list
}

// Decode returns the constant as float32, with the arithmetic of the nodes that Write makes.
func (c *Coded) Decode() *tensor.Tensor {
	y := tensor.New(tensor.Float32, c.Shape...)
	c.Format.DecodeBlocks(tensor.Of[float32](y), c.Shape, c.Codes, c.Block, c.Params)
	return y
}

// Bits is what the codes and the parameters take.
func (c *Coded) Bits() int {
	n := tensor.Elements(c.Shape) * c.Format.Bits
	if !c.Format.Scaled() {
		return n
	}
	return n + len(c.Params)*c.Format.ScaleBits()
}

// String names the format and the block, as flags do: "int4:group=32".
func (c *Coded) String() string {
	if !c.Format.Scaled() {
		return c.Format.Name
	}
	return fmt.Sprintf("%s:%s", c.Format.Name, c.Block)
}
