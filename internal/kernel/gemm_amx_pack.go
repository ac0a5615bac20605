//go:build amd64 && !purego

package kernel

import "unsafe"

const tileBytes = tileHeight * 64

// fillsTiles says whether a block of columns is enough work for tiles: vectors
// are faster at shorter sums.
func (s *shape) fillsTiles() bool { return s.taps*s.k*min(s.n, 32) >= 32*48 }

// apart says whether each tap begins a step of its own.
func (s *shape) apart() bool { return s.tapDwords%16 == 0 || s.taps == 1 }

// setApart chooses whether each tap begins a step: where that costs nothing, or
// where pixels are then read in place and more is saved than spent.
func (s *shape) setApart() {
	joined, apart := (s.taps*s.kd+15)/16, s.taps*((s.kd+15)/16)
	blocks := (s.n + tileWidth - 1) / tileWidth
	s.tapDwords = s.kd
	if apart == joined || s.pixels && apart*(blocks-copiedBlocks) <= joined*blocks {
		s.tapDwords = apart / s.taps * 16
	}
	s.steps = (s.taps*s.tapDwords + 15) / 16
}

// takesPixels says whether tiles read the taps of rows of a padded image in place.
func (l Level) takesPixels(s shape, w Window) bool {
	if !l.use(AMX) || !s.fillsTiles() || !s.pixelsPay(w.OH, w.OW) {
		return false
	}
	s.pixels, s.kd = true, (s.k+3)/4
	s.setApart()
	return s.apart()
}

// packTiles writes [16 columns][64 bytes of a row][16 dwords][16 columns].
func packTiles[T int8 | uint16](s *shape, w []T, o Order) []T {
	size := int(unsafe.Sizeof(*new(T)))
	s.lanes, s.per = tileWidth, 4/size
	s.kd = (s.k + s.per - 1) / s.per
	s.setApart()
	each := s.steps * tileBytes / size
	blocks := (s.n + tileWidth - 1) / tileWidth
	data := aligned[T](blocks * each)
	s.panels = nil
	for i := range blocks {
		p := panel{n0: i * tileWidth, n1: min(s.n, (i+1)*tileWidth), nv: 1, off: i * each}
		s.panels = append(s.panels, p)
		t := tiles[T]{data[p.off:], 64 / size, s.per}
		for tap := range s.taps {
			src := w[p.n0*o.N+tap*o.Tap:]
			if o.K == 1 {
				t.columns(tap*s.tapDwords, src, s.k, p.n1-p.n0, o.N)
			} else {
				t.lines(tap*s.tapDwords, src, s.k, p.n1-p.n0, o)
			}
		}
	}
	return data
}

// tiles is a column of tiles: lines of [16 columns][per].
type tiles[T int8 | uint16] struct {
	data     []T
	row, per int // elements of a line, and of a dword in it
}

func (t *tiles[T]) line(dword int) []T { return t.data[dword*t.row:][:t.row] }

// columns writes n columns that lie one after the other, ld apart.
func (t *tiles[T]) columns(dword int, src []T, k, n, ld int) {
	whole := 0
	if ld%t.per == 0 {
		whole = k / t.per
		TransposePitch(AMX, dwords(t.data[dword*t.row:], t.per), dwords(src, t.per), n, whole, tileWidth, ld/t.per)
	}
	for i := whole * t.per; i < k; i += t.per {
		line, most := t.line(dword+i/t.per), min(t.per, k-i)
		for j := range n {
			copy(line[j*t.per:][:t.per], src[j*ld+i:][:most])
		}
	}
}

// lines writes n columns whose elements are o.K apart.
func (t *tiles[T]) lines(dword int, src []T, k, n int, o Order) {
	for i := range k {
		line, from := t.line(dword + i/t.per)[i%t.per:], src[i*o.K:]
		if o.N == 1 {
			for j, v := range from[:n] {
				line[j*t.per] = v
			}
			continue
		}
		for j := range n {
			line[j*t.per] = from[j*o.N]
		}
	}
}
