package kernel

// Binary names an elementwise operation on two float32 operands. Results are bit-equal
// on every machine and level; only the payload of a NaN is left open.
type Binary uint8

// The binary operations. Min and Max propagate NaN, as numpy does; of two zeros they return
// the second operand.
const (
	Add       Binary = iota // x + y
	Sub                     // x − y
	Mul                     // x · y
	Div                     // x / y
	Min                     // the smaller one
	Max                     // the larger one
	PRelu                   // x < 0 ? x·y : x, so LeakyRelu is PRelu with a scalar
	AddRelu                 // max(x + y, 0)
	numBinary               // how many there are
)

type binaryRow struct {
	name string
	ref  func(dst, x, y []float32)
}

var binaryRows = [numBinary]binaryRow{
	Add:     {"Add", addRef},
	Sub:     {"Sub", subRef},
	Mul:     {"Mul", mulRef},
	Div:     {"Div", divRef},
	Min:     {"Min", minRef},
	Max:     {"Max", maxRef},
	PRelu:   {"PRelu", preluRef},
	AddRelu: {"AddRelu", addReluRef},
}

// binaryFn is an assembly body for n elements. After each block x and y advance by xs and ys
// bytes: blockBytes, or 0 for a block that repeats one value.
type binaryFn func(dst, x, y *float32, n, xs, ys int)

// String returns the name of the operation.
func (op Binary) String() string { return binaryRows[op].name }

// Binary sets dst[i] = x[i] op y[i]. All have the length of dst, which may be x or y itself.
func (l Level) Binary(op Binary, dst, x, y []float32) {
	l.binary(op, dst, x[:len(dst)], y[:len(dst)], blockBytes, blockBytes)
}

// BinaryScalar sets dst[i] = x[i] op s.
func (l Level) BinaryScalar(op Binary, dst, x []float32, s float32) {
	b := splat(s)
	l.binary(op, dst, x[:len(dst)], b[:], blockBytes, 0)
}

// ScalarBinary sets dst[i] = s op y[i].
func (l Level) ScalarBinary(op Binary, dst []float32, s float32, y []float32) {
	b := splat(s)
	l.binary(op, dst, b[:], y[:len(dst)], 0, blockBytes)
}

// BinaryRows sets dst[r][c] = x[r][c] op v[c] for rows of len(v) elements: v is broadcast along
// the last axis. dst and x have the same length, a multiple of len(v).
func (l Level) BinaryRows(op Binary, dst, x, v []float32) {
	x = x[:len(dst)]
	var buf [tileLen]float32
	v = tile(buf[:], v, len(dst))
	spans(len(dst), len(v), func(i, n int) { l.Binary(op, dst[i:i+n], x[i:i+n], v[:n]) })
}

// RowsBinary sets dst[r][c] = v[c] op y[r][c]: BinaryRows with the operands exchanged.
func (l Level) RowsBinary(op Binary, dst, v, y []float32) {
	y = y[:len(dst)]
	var buf [tileLen]float32
	v = tile(buf[:], v, len(dst))
	spans(len(dst), len(v), func(i, n int) { l.Binary(op, dst[i:i+n], v[:n], y[i:i+n]) })
}

// BinaryCols sets dst[r][c] = x[r][c] op v[r] for len(v) rows of equal length: v is broadcast
// along the first axis.
func (l Level) BinaryCols(op Binary, dst, x, v []float32) {
	if len(v) == 0 {
		return
	}
	n := len(dst) / len(v)
	for r, s := range v {
		l.BinaryScalar(op, dst[r*n:r*n+n], x[r*n:r*n+n], s)
	}
}

func (l Level) binary(op Binary, dst, x, y []float32, xs, ys int) {
	if len(dst) == 0 {
		return
	}
	if f, ok := binaryAsm[op].pick(l); ok {
		f(&dst[0], &x[0], &y[0], len(dst), xs, ys)
		return
	}
	ref := binaryRows[op].ref
	if xs != 0 && ys != 0 {
		ref(dst, x, y)
		return
	}
	xs, ys = xs/blockBytes, ys/blockBytes
	spans(len(dst), blockLen, func(i, n int) { ref(dst[i:i+n], x[i*xs:][:n], y[i*ys:][:n]) })
}

func addRef(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] + y[i]
	}
}

func subRef(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] - y[i]
	}
}

func mulRef(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

func divRef(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] / y[i]
	}
}

func minRef(dst, x, y []float32) {
	for i := range dst {
		a, b := x[i], y[i]
		if a < b || a != a {
			b = a
		}
		dst[i] = b
	}
}

func maxRef(dst, x, y []float32) {
	for i := range dst {
		a, b := x[i], y[i]
		if a > b || a != a {
			b = a
		}
		dst[i] = b
	}
}

func preluRef(dst, x, y []float32) {
	for i := range dst {
		a, b := x[i], y[i]
		if a < 0 {
			a *= b
		}
		dst[i] = a
	}
}

func addReluRef(dst, x, y []float32) {
	for i := range dst {
		dst[i] = reluOne(x[i] + y[i])
	}
}
