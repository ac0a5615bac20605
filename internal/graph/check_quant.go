package graph

import (
	"encoding/binary"

	"lowbit/internal/tensor"
)

// quantOperands names the operands of one quantized value: its codes (-1 where the operand is not
// quantized yet), its scale and its zero point (-1 where the operator has none).
type quantOperands struct{ codes, scale, zero int }

// quantOps lists the operators that take scales, of ONNX's domain and of ONNX Runtime's, each with
// all its quantized values.
var quantOps = map[string][]quantOperands{
	"QuantizeLinear":   {{-1, 1, 2}},
	"DequantizeLinear": {{0, 1, 2}},
	"QLinearConv":      {{0, 1, 2}, {3, 4, 5}, {-1, 6, 7}},
	"QLinearMatMul":    {{0, 1, 2}, {3, 4, 5}, {-1, 6, 7}},
	"ConvInteger":      {{0, -1, 2}, {1, -1, 3}},
	"MatMulInteger":    {{0, -1, 2}, {1, -1, 3}},
}

// quantParams checks the scales and zero points that are constants: no arithmetic can make sense
// of a scale that is not a positive number. Stored codes are only read, and tools do give them
// scales below zero, to reach the larger end of the codes, and zero.
func (c *checker) quantParams(place string, s *scope) {
	for i, n := range s.graph.Nodes {
		if d := CanonicalDomain(n.Domain); d != "" && d != "com.microsoft" || c.functions[n.key()] != nil {
			continue // of that name, and of another meaning
		}
		for _, q := range quantOps[n.Op] {
			c.quantValue(at(place+".node", i, n.Name), s, n, q)
		}
	}
}

func (c *checker) quantValue(place string, s *scope, n *Node, q quantOperands) {
	if scale := operand(s, n, q.scale); scale != nil {
		stored := n.Op == "DequantizeLinear" && operand(s, n, q.codes) != nil
		if j := badScale(scale, stored); j >= 0 && stored {
			c.invalid(place, "scale %q is not a finite number at element %d", n.In[q.scale], j)
		} else if j >= 0 {
			c.invalid(place, "scale %q is not a positive number at element %d", n.In[q.scale], j)
		}
	}
	codes, zero := operand(s, n, q.codes), operand(s, n, q.zero)
	if codes != nil && zero != nil && codes.DType != zero.DType {
		c.invalid(place, "zero point %q is %s, the values are %s", n.In[q.zero], zero.DType, codes.DType)
	}
}

// operand returns the initializer that is n's i-th input, nil if it is not one.
func operand(s *scope, n *Node, i int) *tensor.Tensor {
	if i < 0 || i >= len(n.In) || n.In[i] == "" {
		return nil
	}
	return s.constant(n.In[i])
}

// exponentBits is the width of the exponent of the types that scales come in.
var exponentBits = map[tensor.DType]int{
	tensor.Float32: 8, tensor.Float64: 11, tensor.Float16: 5, tensor.BFloat16: 8,
}

// badScale returns the index of the first element that is not finite, or not above zero where not
// any will do; -1 if there is none. It looks at the bits: sign, exponent, fraction.
func badScale(t *tensor.Tensor, anyFinite bool) int {
	exp, ok := exponentBits[t.DType]
	if !ok {
		return -1
	}
	width := t.DType.Bits() / 8
	mask := uint64(1)<<exp - 1
	fraction := t.DType.Bits() - 1 - exp
	for i := range len(t.Raw) / width {
		v := bitsAt(t.Raw[i*width:], width)
		if positive := v != 0 && v>>(t.DType.Bits()-1) == 0; v>>fraction&mask == mask || !positive && !anyFinite {
			return i
		}
	}
	return -1
}

func bitsAt(b []byte, width int) uint64 {
	switch width {
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}
