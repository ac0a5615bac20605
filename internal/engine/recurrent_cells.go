package engine

import "lowbit/internal/kernel"

// A cell computes one time step of one direction for one batch row.
type cell struct {
	gates     int
	functions []string // of the gates and the state, by default
	step      func(l kernel.Level, s *cellState)
	reset     func(l kernel.Level, s *cellState) // leaves in c what the last gate sees of the state; nil: the state
	codes     bool                               // products are of codes found while running
}

// A cellState is what a cell reads and renews: sums holds the sums of all gates from the input, hidden those from the
// state, second that from what is left of it; h and c are the state.
type cellState struct {
	sums, h, c     []float32
	hidden, second []float32
	tmp            []float32
	size           int
	squash         kernel.Unary // of an RNN
}

var cells = map[string]cell{
	"RNN":                               {gates: 1, functions: []string{"Tanh"}, step: rnnStep},
	"LSTM":                              {gates: 4, functions: []string{"Sigmoid", "Tanh", "Tanh"}, step: lstmStep},
	"GRU":                               {gates: 3, functions: []string{"Sigmoid", "Tanh"}, step: gruStep},
	"com.microsoft.DynamicQuantizeLSTM": {gates: 4, functions: []string{"Sigmoid", "Tanh", "Tanh"}, step: lstmStep, codes: true},
}

// cellOf returns the cell of a recurrent node.
func cellOf(n *node) cell {
	c := cells[n.kind]
	if n.kind == "GRU" && !n.onnx.Bool("linear_before_reset", false) {
		c.reset, c.step = gruReset, gruRest
	}
	return c
}

// rnnStep is ONNX's RNN.
func rnnStep(l kernel.Level, s *cellState) {
	l.Binary(kernel.Add, s.h, s.sums, s.hidden)
	l.Unary(s.squash, s.h, s.h)
}

// lstmStep is ONNX's LSTM with the gates in the order input, output, forget, cell.
func lstmStep(l kernel.Level, s *cellState) {
	n := s.size
	l.Binary(kernel.Add, s.sums, s.sums, s.hidden)
	l.Unary(kernel.Sigmoid, s.sums[:3*n], s.sums[:3*n])
	l.Unary(kernel.Tanh, s.sums[3*n:], s.sums[3*n:])
	in, out, forget, fresh := s.sums[:n], s.sums[n:2*n], s.sums[2*n:3*n], s.sums[3*n:]
	l.Binary(kernel.Mul, s.c, s.c, forget)
	l.Binary(kernel.Mul, fresh, fresh, in)
	l.Binary(kernel.Add, s.c, s.c, fresh)
	l.Unary(kernel.Tanh, s.tmp[:n], s.c)
	l.Binary(kernel.Mul, s.h, out, s.tmp[:n])
}

// gruStep is ONNX's GRU with linear_before_reset and the gates in the order update, reset, hidden:
// h = (1−z)·h̃ + z·h = h̃ + z·(h−h̃).
func gruStep(l kernel.Level, s *cellState) {
	n := s.size
	gruGates(l, s)
	r, fresh := s.sums[n:2*n], s.sums[2*n:]
	l.Binary(kernel.Mul, r, r, s.hidden[2*n:])
	l.Binary(kernel.Add, fresh, fresh, r)
	gruBlend(l, s)
}

// gruReset finds the gates of a GRU whose last product sees what the reset gate leaves of the state.
func gruReset(l kernel.Level, s *cellState) {
	gruGates(l, s)
	l.Binary(kernel.Mul, s.c, s.h, s.sums[s.size:2*s.size])
}

// gruRest goes on from gruReset.
func gruRest(l kernel.Level, s *cellState) {
	fresh := s.sums[2*s.size:]
	l.Binary(kernel.Add, fresh, fresh, s.second)
	gruBlend(l, s)
}

// gruGates finds the update and the reset gate.
func gruGates(l kernel.Level, s *cellState) {
	gates := s.sums[:2*s.size]
	l.Binary(kernel.Add, gates, gates, s.hidden[:len(gates)])
	l.Unary(kernel.Sigmoid, gates, gates)
}

// gruBlend renews the state.
func gruBlend(l kernel.Level, s *cellState) {
	z, fresh := s.sums[:s.size], s.sums[2*s.size:]
	l.Unary(kernel.Tanh, fresh, fresh)
	l.Binary(kernel.Sub, s.h, s.h, fresh)
	l.Binary(kernel.Mul, s.h, s.h, z)
	l.Binary(kernel.Add, s.h, s.h, fresh)
}
