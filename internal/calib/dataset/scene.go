package dataset

import (
	"math"
	"math/rand/v2"
)

// What drawn images are made of.
const (
	leaves      = 400  // discs, each hiding part of those before
	leastLeaf   = 0.01 // radius of the smallest, as a share of the image's shorter side
	largestLeaf = 0.5
	tint        = 0.25 // how far the colours of a disc may lie apart
	mostTexture = 0.12 // amplitude of the noise on all discs
	leastSpan   = 0.7  // of the range of brightness that an image takes
)

// drawScene draws an image with the statistics of photographs: dead leaves, that is discs of radius r
// with a density of r^-3 that hide each other (Lee, Mumford and Huang, Occlusion Models for Natural
// Images, 2001), whose edges give a spectrum near 1/f and whose few colours give steps of any size;
// under them noise of 1/f. Every machine draws the same.
func drawScene(r *rand.PCG, w, h int) raster {
	light := make([]float64, 3*w*h)
	paintLeaf(light, w, h, leaf{x: float64(w) / 2, y: float64(h) / 2, radius: float64(w + h), color: leafColor(r)})
	short := float64(min(w, h))
	near, far := math.Max(1.5, leastLeaf*short), math.Max(2, largestLeaf*short)
	for range leaves {
		a, b := 1/float64(near*near), 1/float64(far*far)
		radius := 1 / math.Sqrt(a+float64(uniform(r)*(b-a)))
		paintLeaf(light, w, h, leaf{uniform(r) * float64(w), uniform(r) * float64(h), radius, leafColor(r)})
	}
	addTexture(r, light, w, h, mostTexture*uniform(r))
	span := leastSpan + float64((1-leastSpan)*uniform(r))
	floor := (1 - span) * uniform(r)
	img := newRaster(w, h, 3)
	for i, v := range light {
		img.pix[i] = byte(math.Round(255 * math.Max(0, math.Min(1, floor+float64(span*v)))))
	}
	return img
}

// uniform is a number from 0 to 1, 1 excluded.
func uniform(r *rand.PCG) float64 { return distributions["uniform"](r) }

// A leaf is a disc of one colour.
type leaf struct {
	x, y, radius float64
	color        [3]float64
}

// leafColor draws a brightness, and colours near it: those of photographs differ little.
func leafColor(r *rand.PCG) (c [3]float64) {
	grey := uniform(r)
	for i := range c {
		c[i] = grey + float64(tint*(uniform(r)-0.5))
	}
	return c
}

// paintLeaf paints a leaf over an image (H,W,3).
func paintLeaf(light []float64, w, h int, l leaf) {
	square := float64(l.radius * l.radius)
	for y := max(0, int(l.y-l.radius)); y < min(h, int(l.y+l.radius)+1); y++ {
		dy := float64(y) - l.y
		half := square - float64(dy*dy)
		if half <= 0 {
			continue
		}
		half = math.Sqrt(half)
		for x := max(0, int(math.Ceil(l.x-half))); x < min(w, int(math.Ceil(l.x+half))); x++ {
			copy(light[3*(y*w+x):], l.color[:])
		}
	}
}

// addTexture adds noise that is alike at every scale: at each octave numbers on a grid, blended
// between its points, with the same amplitude.
func addTexture(r *rand.PCG, light []float64, w, h int, amplitude float64) {
	for cell := max(w, h); cell >= 1; cell /= 2 {
		gw, gh := w/cell+2, h/cell+2
		grid := make([]float64, gw*gh)
		for i := range grid {
			grid[i] = amplitude * (uniform(r) - 0.5)
		}
		for y := range h {
			row, fy := y/cell, float64(y%cell)/float64(cell)
			for x := range w {
				at, fx := row*gw+x/cell, float64(x%cell)/float64(cell)
				top := grid[at] + float64(fx*(grid[at+1]-grid[at]))
				low := grid[at+gw] + float64(fx*(grid[at+gw+1]-grid[at+gw]))
				v := top + float64(fy*(low-top))
				for c := range 3 {
					light[3*(y*w+x)+c] += v
				}
			}
		}
	}
}
