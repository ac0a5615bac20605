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
	Pow                     // x to the power of y, computed in float64; 0.54 ulp
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
	Pow:     {"Pow", powRef},
	PRelu:   {"PRelu", preluRef},
	AddRelu: {"AddRelu", addReluRef},
}

// binaryFn is an assembly body for n elements. After each block x and y advance by xs and ys bytes,
// which is blockBytes, or 0 for an operand that is s throughout.
type binaryFn func(dst, x, y *float32, n, xs, ys int, s float32)

// String returns the name of the operation.
func (op Binary) String() string { return binaryRows[op].name }

// Binary sets dst[i] = x[i] op y[i]. All have the length of dst, which may be x or y itself.
func (l Level) Binary(op Binary, dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if f, ok := binaryAsm[op].pick(l); ok {
		spans(len(dst), callMax, func(i, n int) { f(&dst[i], &x[i], &y[i], n, blockBytes, blockBytes, 0) })
		return
	}
	binaryRows[op].ref(dst, x, y)
}

// BinaryScalar sets dst[i] = x[i] op s.
func (l Level) BinaryScalar(op Binary, dst, x []float32, s float32) {
	x = x[:len(dst)]
	if f, ok := binaryAsm[op].pick(l); ok {
		spans(len(dst), callMax, func(i, n int) { f(&dst[i], &x[i], nil, n, blockBytes, 0, s) })
		return
	}
	eachBlock(dst, s, func(d, same []float32, i int) { binaryRows[op].ref(d, x[i:i+len(d)], same) })
}

// ScalarBinary sets dst[i] = s op y[i].
func (l Level) ScalarBinary(op Binary, dst []float32, s float32, y []float32) {
	y = y[:len(dst)]
	if f, ok := binaryAsm[op].pick(l); ok {
		spans(len(dst), callMax, func(i, n int) { f(&dst[i], nil, &y[i], n, 0, blockBytes, s) })
		return
	}
	eachBlock(dst, s, func(d, same []float32, i int) { binaryRows[op].ref(d, same, y[i:i+len(d)]) })
}

// eachBlock calls f for the parts of dst that begin at i, with as many elements that are all s.
func eachBlock(dst []float32, s float32, f func(d, same []float32, i int)) {
	var b [blockLen]float32
	for i := range b {
		b[i] = s
	}
	spans(len(dst), blockLen, func(i, n int) { f(dst[i:i+n], b[:n], i) })
}

// BinaryRows sets dst[r][c] = x[r][c] op v[c] for rows of len(v) elements: v is broadcast along
// the last axis. dst and x have the same length, a multiple of len(v).
func (l Level) BinaryRows(op Binary, dst, x, v []float32) {
	x = x[:len(dst)]
	t := getScratch()
	defer t.free()
	v = tile(t.x[:], v, len(dst))
	spans(len(dst), len(v), func(i, n int) { l.Binary(op, dst[i:i+n], x[i:i+n], v[:n]) })
}

// RowsBinary sets dst[r][c] = v[c] op y[r][c]: BinaryRows with the operands exchanged.
func (l Level) RowsBinary(op Binary, dst, v, y []float32) {
	y = y[:len(dst)]
	t := getScratch()
	defer t.free()
	v = tile(t.x[:], v, len(dst))
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

func powRef(dst, x, y []float32) {
	for i := range dst {
		dst[i] = powOne(x[i], y[i])
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

// addStripFn is an assembly body that adds rows of cols elements, at most a vector; pitches are in bytes.
type addStripFn func(x *float32, rows, pitch, cols int, y *float32, pitchY int)

// AddRows adds to the first cols elements of each of some rows of x, pitch apart, those of y.
func (l Level) AddRows(x []float32, pitch int, y []float32, pitchY, rows, cols int) {
	if rows < 1 || cols < 1 {
		return
	}
	x, y = x[:(rows-1)*pitch+cols], y[:(rows-1)*pitchY+cols]
	if cols == pitch && cols == pitchY {
		l.Binary(Add, x, x, y)
		return
	}
	f, lanes := addStripAsm.strip(l)
	if lanes == 0 {
		for i := range rows {
			row := x[i*pitch:][:cols]
			l.Binary(Add, row, row, y[i*pitchY:][:cols])
		}
		return
	}
	for j := 0; j < cols; j += lanes {
		spans(rows, callMax/lanes, func(i, n int) { f(&x[i*pitch+j], n, pitch*4, min(lanes, cols-j), &y[i*pitchY+j], pitchY*4) })
	}
}
