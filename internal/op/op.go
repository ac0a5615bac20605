// Package op says what each ONNX operator means: its types and shapes, a plain reference
// evaluation that judges every faster path, and how quantization treats it.
//
// One operator or one close family is one file; the table rows are gathered in All.
package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// An Op is everything lowbit knows of one operator. A nil Infer means that nothing is known
// of the outputs before the operator runs.
type Op struct {
	Name   string
	Domain string // "" is the default ONNX domain
	Infer  func(c *Inference) ([]Fact, error)
	Eval   func(c *Call) ([]*tensor.Tensor, error)
	Quant  Quant
	parts  func(p *parts, shape func(i int) []int) bool // of a fused operator: collects those that it stands for

	Schemas []*Schema // one for each version, ascending; filled from schema.txt
	Random  bool      // two evaluations of the same inputs may differ
}

// Role is what an operator does with one of its inputs.
type Role uint8

// The roles of an input in quantization.
const (
	Float  Role = iota // stays in float, or is no number at all (indices, shapes)
	Act                // an activation; a constant here is quantized like one
	Weight             // a weight, along Quant.Axis when it is constant, else an activation
	Bias               // int32 at the product of the scales of the other two
)

// Quant is how an operator takes part in quantization. The zero value leaves it in float.
type Quant struct {
	In        []Role // by input position; the last one repeats
	Axis      int    // the output-channel axis of the weight, negative from the end
	AxisOf    func(n *graph.Node) int
	LeftAxis  func(n *graph.Node) int // that of the first operand, which is the weight where it alone is constant; nil: it never is
	Share     bool                    // moves values without changing them: the output keeps its input's parameters
	Output    bool                    // the output is worth quantizing too
	Clamp     bool                    // only limits its input's range: saturation of the quantized input's producer does it
	FloatOut  bool                    // its integer form may also write float, so that the output need not be quantized
	CodesOut  bool                    // but not its form in QOperator style
	Sum       bool                    // adds its operands
	Halves    bool                    // its results are often halves of a step, which runtimes round before or after they add the zero point
	ShapeOnly bool                    // reads its input's shape and not its elements
	Integer   string                  // the ONNX operator that computes it on integers (QOperator style); "com.microsoft:" in front where needed
	Fixed     *Fixed                  // the output's parameters where the operator's range is known

	// Unless says why node n takes no part after all, "" where it does; nil: it always does.
	// constant returns the tensor of a constant, nil for values that flow.
	Unless func(n *graph.Node, constant func(name string) *tensor.Tensor) string
}

// WeightAxis returns the output-channel axis of node n's weight, negative from the end; AxisOf
// decides where an attribute does.
func (q *Quant) WeightAxis(n *graph.Node) int {
	if q.AxisOf != nil {
		return q.AxisOf(n)
	}
	return q.Axis
}

// Role returns the role of input i.
func (q *Quant) Role(i int) Role {
	if len(q.In) == 0 {
		return Float
	}
	return q.In[min(i, len(q.In)-1)]
}

// Fixed is a known output range, such as [0,1] of a sigmoid.
type Fixed struct{ Lo, Hi float32 }

// All lists every operator. It is filled by init because operators that run subgraphs look
// others up.
var All []*Op

type opKey struct{ domain, name string }

var byName = map[opKey]*Op{}

// Lookup returns the operator of that domain and name, or nil.
func Lookup(domain, name string) *Op {
	return byName[opKey{graph.CanonicalDomain(domain), name}]
}

// Schema returns the signature that a model importing the given version of o's domain uses:
// the newest one that is not newer. It is nil where the operator did not exist yet.
func (o *Op) Schema(opset int) *Schema {
	var best *Schema
	for _, s := range o.Schemas {
		if s.Since <= opset || best == nil && s.Since <= 7 {
			best = s
		}
	}
	return best
}

// Quantized says whether the operator converts to or from quantized values or computes on them.
func (o *Op) Quantized() bool {
	return slices.Contains(quantOps, o) || slices.Contains(contribOps, o) && slices.ContainsFunc(o.Schemas[0].In, func(p Param) bool {
		types := o.Schemas[0].Vars[p.Type]
		return slices.Contains(types, "uint8") && !slices.Contains(types, "float")
	})
}
