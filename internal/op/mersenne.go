package op

import "math"

// A mersenne is the MT19937 generator of Matsumoto and Nishimura (1998), whose numbers are
// the same on every machine. With the draws below it follows the streams of ONNX's own
// reference evaluator.
type mersenne struct {
	state [624]uint32
	next  int
	spare float64 // second number of the last pair of normals
	has   bool
}

// newMersenne seeds a generator as the authors' init_genrand does.
func newMersenne(seed uint32) *mersenne {
	m := &mersenne{next: 624}
	m.state[0] = seed
	for i := uint32(1); i < 624; i++ {
		p := m.state[i-1]
		m.state[i] = 1812433253*(p^p>>30) + i
	}
	return m
}

// random returns the generator of a node: seeded by its attribute, or by the run's seed and
// the node's place.
func (c *Call) random() *mersenne {
	seed := uint32(c.salt ^ c.salt>>32)
	if a := c.Attr("seed"); a != nil {
		switch v := a.Value.(type) {
		case int64:
			seed = uint32(v)
		case float32:
			if v == v {
				seed = uint32(int64(clamp(float64(v), -1<<31, 1<<32)))
			}
		}
	}
	return newMersenne(seed)
}

func (m *mersenne) twist() {
	for i := range m.state {
		y := m.state[i]&0x80000000 | m.state[(i+1)%624]&0x7fffffff
		v := m.state[(i+397)%624] ^ y>>1
		if y&1 != 0 {
			v ^= 0x9908b0df
		}
		m.state[i] = v
	}
	m.next = 0
}

// uint32 returns 32 random bits.
func (m *mersenne) uint32() uint32 {
	if m.next == 624 {
		m.twist()
	}
	y := m.state[m.next]
	m.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// float64 returns a number in [0,1) with 53 random bits.
func (m *mersenne) float64() float64 {
	a, b := m.uint32()>>5, m.uint32()>>6
	return (float64(a)*(1<<26) + float64(b)) / (1 << 53)
}

// normal returns a standard normal number by the polar method (Marsaglia and Bray 1964).
func (m *mersenne) normal() float64 {
	if m.has {
		m.has = false
		return m.spare
	}
	for {
		x, y := 2*m.float64()-1, 2*m.float64()-1
		if r := float64(x*x) + float64(y*y); r > 0 && r < 1 {
			f := math.Sqrt(-2 * math.Log(r) / r)
			m.spare, m.has = f*x, true
			return f * y
		}
	}
}
