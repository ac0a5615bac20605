// Package format defines the ways lowbit writes a real number in few bits.
//
// A format is a ruler: a fixed set of marks. Quantizing a group of values picks how large
// the ruler is (Scale) and where it lies (Zero), then moves every value to its nearest mark:
//
//	x ≈ Scale · (mark[code] − Zero)
//
// Each format is one row in All. The package also holds the codecs of the standard small
// floating-point types, which the operators share.
package format

import (
	"slices"
	"strings"

	"lowbit/internal/tensor"
)

// All lists every format in the order that help and reports print them.
var All = []*Format{
	Int8, Uint8, Int16, Uint16, Int4, Uint4, Int2, Uint2,
	Ristretto8, Ristretto4,
	Log4, Log4Sqrt2, Log5, APoT4,
	Binary, Ternary,
	FP16, BF16, FP8E4M3, FP8E5M2, FP4E2M1,
	MXFP8, MXFP4, NVFP4, NF4, NF4Plain,
}

// Kind groups formats as the literature does.
type Kind string

// The families of formats.
const (
	Linear      Kind = "linear"    // evenly spaced marks
	FixedPoint  Kind = "ristretto" // evenly spaced marks, the step a power of two
	Logarithmic Kind = "log"       // powers of two or of its root
	Additive    Kind = "apot"      // sums of powers of two
	Signs       Kind = "binary"    // one magnitude
	Floating    Kind = "float"     // exponent and mantissa
	BlockFloat  Kind = "block float"
	Quantiles   Kind = "quantile" // marks that split a normal distribution evenly
)

// Via says how an ONNX file spells the way back from codes to real numbers.
type Via string

// The ways back, each for any block. Codes that no element type holds are packed into bytes.
const (
	Dequantize Via = "DequantizeLinear"          // codes of type Elem
	Pick       Via = "Gather + DequantizeLinear" // codes pick whole-number marks, which are scaled
	Table      Via = "Gather + Mul"              // codes pick marks, which are scaled
	Cast       Via = "Cast"                      // codes are numbers of type Elem
)

// A Format is one row of the table of number formats. A format with Lo < Hi is the grid of the
// whole numbers between them; one with Marks has those; one with neither is the floating-point
// type Elem.
type Format struct {
	Name   string       // the word in plans, flags and reports
	Bits   int          // of one code
	Kind   Kind         // family
	Lo, Hi int          // smallest and largest code of a whole-number grid
	Marks  []float32    // decoded value of each code; NaN where a code is unused
	Elem   tensor.DType // ONNX element type of the codes
	Via    Via          // how ONNX spells the way back
	Zero   bool         // the ruler may shift: the zero point is fitted
	Opset  int          // first default-domain opset that can write it
	Parts  []Part       // whole numbers that marks are made of, where they are not of eight bits themselves
	Acts   []string     // activation formats that its kernels pair with; none: dequantize

	// Fit returns the scale for the values of one block; nil covers the range, and where Search
	// is set takes the scale with the least squared error.
	Fit    func(f *Format, x []float32) float32
	Search bool
	Snap   func(scale float64) float64 // confines scales, such as to powers of two; nil: any
	Scale  *ScaleFormat                // how the scales of a tensor are written; nil: float32
	Group  int                         // weights that share a scale by default; 0: an output channel
	Whole  bool                        // by default the tensor shares one scale
	Mid    func(a, b float32) float32  // where neighbouring marks part; nil: halfway between them

	ruler // made from the marks on first use
}

// A Part is one of several whole numbers of which each mark is the sum, every one times its unit.
type Part struct {
	Unit  float32
	Marks []int8 // by code
}

// Params places the ruler over one group of values.
type Params struct {
	Scale float32
	Zero  int32
}

// Lookup returns the format with the given name, or nil.
func Lookup(name string) *Format {
	i := slices.IndexFunc(All, func(f *Format) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return All[i]
}

// ByElem returns the format that DequantizeLinear or Cast gives to codes of element type d, or nil.
func ByElem(d tensor.DType) *Format {
	i := slices.IndexFunc(All, func(f *Format) bool { return f.Elem == d && (f.Via == Dequantize || f.Via == Cast) })
	if i < 0 {
		return nil
	}
	return All[i]
}

// Names lists the formats' names for messages.
func Names() string {
	var list []string
	for _, f := range All {
		list = append(list, f.Name)
	}
	return strings.Join(list, " ")
}

// Partners lists the formats of activations that kernels pair f with; a single nil stands for floats.
func (f *Format) Partners() []*Format {
	var list []*Format
	for _, name := range f.Acts {
		list = append(list, Lookup(name))
	}
	if list == nil {
		return []*Format{nil}
	}
	return list
}

// Scaled says whether values are divided by a scale at all.
func (f *Format) Scaled() bool { return f.Via != Cast }

// BitsPerWeight is what a weight takes by default, its share of the scale and the zero point of
// its group included; one scale for a channel or a tensor counts nothing.
func (f *Format) BitsPerWeight() float64 {
	bits := float64(f.Bits)
	if f.Group == 0 {
		return bits
	}
	return bits + f.scaleBits()/float64(f.Group)
}

// ScaleBits is what the parameters of one block take, rounded down.
func (f *Format) ScaleBits() int { return int(f.scaleBits()) }

func (f *Format) scaleBits() float64 {
	bits := 32.0
	if f.Scale != nil {
		bits = f.Scale.bits()
	}
	if f.Zero {
		bits += float64(f.Elem.Bits())
	}
	return bits
}

// WeightBlock is the block that weights share a scale in by default. The axis is the caller's.
func (f *Format) WeightBlock() Block {
	switch {
	case f.Whole || !f.Scaled():
		return Block{}
	case f.Group > 0:
		return Block{Kind: Group, Size: f.Group}
	}
	return Block{Kind: Channel}
}
