package kernel

// planes are an image split into planes: one for each channel, or few channels, and each remainder of rows and columns by
// the strides, so that each tap of a run of output pixels is a run too. Rows of a plane are as long as an output row and
// what taps read beyond it, so that one run goes over the ends of rows; what it makes there is dropped.
type planes struct {
	win           Window
	level         Level
	pitch, height int     // of a plane
	size          int     // elements from plane to plane
	count         int     // of planes
	off           []int32 // of each channel and tap: from an output pixel to what is multiplied, in elements
}

// planesSlack follows the planes: runs are made in whole tiles.
const planesSlack = 128

// newPlanes splits images of that many channels, of which every so many taps of a row are read as one element.
func newPlanes(l Level, win Window, channels, taps int) planes {
	p := planes{win: win, level: l, count: channels * win.StrideH * win.StrideW}
	p.pitch = win.OW + (win.KW-1)*win.DilW/win.StrideW
	p.height = win.OH + (win.KH-1)*win.DilH/win.StrideH
	p.size = apart(p.height * p.pitch)
	for c := range channels {
		for ky := range win.KH {
			for kx := 0; kx < win.KW; kx += taps {
				y, x := ky*win.DilH, kx*win.DilW
				plane := (c*win.StrideH+y%win.StrideH)*win.StrideW + x%win.StrideW
				p.off = append(p.off, int32(plane*p.size+y/win.StrideH*p.pitch+x/win.StrideW))
			}
		}
	}
	return p
}

// inBytes counts offsets in bytes of elements of so many.
func (p *planes) inBytes(size int32) {
	for i := range p.off {
		p.off[i] *= size
	}
}

// apart is the size of planes of n elements, so that the same pixel of many large ones does not fall on the same lines of
// the first cache: five lines apart.
func apart(n int) int {
	const page, lines, large = 1024, 5 * 16, 4096
	if n < large {
		return n
	}
	return (n-lines+page-1)/page*page + lines
}

// Len is the number of elements of the planes of an image, with those that may be read behind them.
func (p *planes) Len() int { return p.count*p.size + planesSlack }

// columns gives which of the elements of a row of planes lie in an image row, whose column is at for the first of them,
// and a stride more for each.
func (p *planes) columns(at int) (first, end int) {
	step := p.win.StrideW
	if at < 0 {
		first = min(p.pitch, (-at+step-1)/step)
	}
	end = first
	if last := p.win.W - 1 - at; last >= 0 {
		end = max(first, min(p.pitch, last/step+1))
	}
	return first, end
}
