package op

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestDynamicQuantizeLSTM holds the operator to LSTM: on the weights that the codes stand for, with X and
// the state before each step put through DynamicQuantizeLinear.
func TestDynamicQuantizeLSTM(t *testing.T) {
	const seq, batch, size, hidden = 6, 3, 7, 5
	rng := rand.New(rand.NewPCG(3, 1))
	floats := func(shape ...int) *tensor.Tensor {
		x := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Of[float32](x) {
			tensor.Of[float32](x)[i] = float32(rng.NormFloat64())
		}
		return x
	}
	in := make([]*tensor.Tensor, 12)
	in[0], in[3], in[5], in[6] = floats(seq, batch, size), floats(1, 8*hidden), floats(1, batch, hidden), floats(1, batch, hidden)
	plain := slices.Clone(in[:7])
	for i, k := range []int{size, hidden} {
		codes, real := tensor.New(tensor.Uint8, 1, k, 4*hidden), tensor.New(tensor.Float32, 1, 4*hidden, k)
		for j := range codes.Raw {
			codes.Raw[j] = byte(rng.IntN(256))
			tensor.Of[float32](real)[j%(4*hidden)*k+j/(4*hidden)] = (float32(codes.Raw[j]) - 100) * 0.01
		}
		in[1+i], in[8+2*i], in[9+2*i], plain[1+i] = codes, vec(0.01), tensor.Wrap(tensor.Uint8, []uint8{100}, 1), real
	}
	n := node("DynamicQuantizeLSTM", 12, 3)
	n.Domain = microsoft
	got := evalNode(t, n, in)

	n = node("LSTM", 7, 3)
	x := throughCodes(t, in[0])
	for step := range seq {
		plain[0] = tensor.Float32s(tensor.Of[float32](x)[step*batch*size:][:batch*size], 1, batch, size)
		plain[5] = throughCodes(t, plain[5])
		out := evalNode(t, n, plain)
		near(t, tensor.Of[float32](got[0])[step*batch*hidden:][:batch*hidden], tensor.Of[float32](out[0]))
		plain[5], plain[6] = out[1], out[2]
	}
	near(t, tensor.Of[float32](got[1]), tensor.Of[float32](plain[5]))
	near(t, tensor.Of[float32](got[2]), tensor.Of[float32](plain[6]))
}

// evalNode computes a node alone.
func evalNode(t *testing.T, n *graph.Node, in []*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	row := Lookup(n.Domain, n.Op)
	out, err := row.Eval(&Call{Node: n, In: in})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// throughCodes quantizes x over its range and back.
func throughCodes(t *testing.T, x *tensor.Tensor) *tensor.Tensor {
	q := evalNode(t, node("DynamicQuantizeLinear", 1, 3), []*tensor.Tensor{x})
	return evalNode(t, node("DequantizeLinear", 3, 1), q)[0]
}

func near(t *testing.T, got, want []float32) {
	t.Helper()
	for i := range want {
		if d := got[i] - want[i]; d > 1e-6 || d < -1e-6 {
			t.Fatalf("element %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// TestDynamicQuantizeLSTMRefuses holds operands that do not fit to an error.
func TestDynamicQuantizeLSTMRefuses(t *testing.T) {
	good := func() []*tensor.Tensor {
		byTensor := func() (*tensor.Tensor, *tensor.Tensor) { return vec(1), tensor.Wrap(tensor.Int8, []int8{0}, 1) }
		in := make([]*tensor.Tensor, 12)
		in[0], in[1], in[2] = ramp(0, 1, 1, 3), tensor.New(tensor.Int8, 1, 3, 8), tensor.New(tensor.Int8, 1, 2, 8)
		in[8], in[9] = byTensor()
		in[10], in[11] = byTensor()
		return in
	}
	n := node("DynamicQuantizeLSTM", 12, 3)
	n.Domain = microsoft
	evalNode(t, n, good())
	for name, break_ := range map[string]func(in []*tensor.Tensor){
		"rank":       func(in []*tensor.Tensor) { in[1] = in[1].Reshape(3, 8) },
		"inputs":     func(in []*tensor.Tensor) { in[1] = tensor.New(tensor.Int8, 1, 4, 8) },
		"hidden":     func(in []*tensor.Tensor) { in[2] = tensor.New(tensor.Int8, 1, 3, 8) },
		"scale":      func(in []*tensor.Tensor) { in[8] = vec(1, 2) },
		"zero point": func(in []*tensor.Tensor) { in[11] = tensor.New(tensor.Int8, 1, 2) },
	} {
		in := good()
		break_(in)
		if _, err := Lookup(microsoft, n.Op).Eval(&Call{Node: n, In: in}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
