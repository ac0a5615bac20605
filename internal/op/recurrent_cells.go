package op

import "slices"

var rnnCell = cell{gates: 1, activations: []string{"Tanh"}, states: 1, step: stepRNN}

var gruCell = cell{gates: 3, activations: []string{"Sigmoid", "Tanh"}, states: 1, step: stepGRU}

var lstmCell = cell{gates: 4, activations: []string{"Sigmoid", "Tanh", "Tanh"}, states: 2, step: stepLSTM}

// stepRNN computes h = f(Wx + Rh + biases).
func stepRNN(d *direction, gate []float64, s *state) {
	old := slices.Clone(s.h)
	for i := range s.h {
		s.h[i] = d.activate(0, gate[i]+d.recur(i, old))
	}
}

// stepGRU computes the update gate z, the reset gate r and the hidden gate; the weights lie in
// the order z, r, h.
func stepGRU(d *direction, gate []float64, s *state) {
	n := d.hidden
	z, r, h := gate[:n], gate[n:2*n], gate[2*n:]
	for i := range n {
		z[i] = d.activate(0, z[i]+d.recur(i, s.h))
		r[i] = d.activate(0, r[i]+d.recur(n+i, s.h))
	}
	if d.Bool("linear_before_reset", false) {
		for i := range n {
			h[i] = d.activate(1, h[i]+float64(r[i]*d.recur(2*n+i, s.h)))
		}
	} else {
		reset := make([]float64, n)
		for i := range reset {
			reset[i] = r[i] * s.h[i]
		}
		for i := range n {
			h[i] = d.activate(1, h[i]+d.recur(2*n+i, reset))
		}
	}
	for i := range n {
		s.h[i] = float64((1-z[i])*h[i]) + float64(z[i]*s.h[i])
	}
}

// stepLSTM computes the gates; the weights lie in the order input, output, forget, cell and
// the peepholes in the order input, output, forget.
func stepLSTM(d *direction, gate []float64, s *state) {
	n := d.hidden
	for i := range gate {
		gate[i] += d.recur(i, s.seen)
	}
	couple := d.Bool("input_forget", false)
	for i := range n {
		in := d.activate(0, gate[i]+float64(d.peep[i]*s.c[i]))
		forget := d.activate(0, gate[2*n+i]+float64(d.peep[2*n+i]*s.c[i]))
		if couple {
			forget = 1 - in
		}
		s.c[i] = float64(forget*s.c[i]) + float64(in*d.activate(1, gate[3*n+i]))
		out := d.activate(0, gate[n+i]+float64(d.peep[n+i]*s.c[i]))
		s.h[i] = out * d.f[2](s.c[i]) // the clip bounds the gates alone
	}
}
