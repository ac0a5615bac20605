package demo

import "math/rand/v2"

// grid is the number of cells along each side of the field that bends outlines.
const grid = 4

// spread returns a random number from −n to n; numbers near 0 are more likely.
func spread(rng *rand.Rand, n int) int { return rng.IntN(n+1) - rng.IntN(n+1) }

// warp returns o turned, slanted, stretched, shifted and bent at random, and moved to the middle
// of the image.
func warp(o outline, rng *rand.Rand) outline {
	// In 1024ths: the diagonal stretches, the others turn (together) and slant (apart).
	size := 880 + spread(rng, 240)
	turn, slant := spread(rng, 290), spread(rng, 240)
	xx, yy := size+spread(rng, 160), size+spread(rng, 160)
	xy, yx := slant-turn, turn
	mid := point{Side*unit/2 + spread(rng, 3*unit), Side*unit/2 + spread(rng, 3*unit)}

	var field [grid + 1][grid + 1]point
	for i := range field {
		for j := range field[i] {
			field[i][j] = point{spread(rng, 5*unit/2), spread(rng, 5*unit/2)}
		}
	}
	out := make(outline, len(o))
	for i, ring := range o {
		out[i] = make([]point, len(ring))
		for j, p := range ring {
			q := point{mid.x + (p.x*xx+p.y*xy)/1024, mid.y + (p.x*yx+p.y*yy)/1024}
			b := bend(&field, q)
			out[i][j] = point{q.x + b.x, q.y + b.y}
		}
	}
	return out
}

// bend interpolates the field at p.
func bend(field *[grid + 1][grid + 1]point, p point) point {
	const cell = Side * unit / grid
	x := min(max(p.x, 0), Side*unit-1)
	y := min(max(p.y, 0), Side*unit-1)
	i, j := y/cell, x/cell
	fy, fx := y%cell, x%cell
	mix := func(a, b point, f int) point {
		return point{a.x + (b.x-a.x)*f/cell, a.y + (b.y-a.y)*f/cell}
	}
	top := mix(field[i][j], field[i][j+1], fx)
	bottom := mix(field[i+1][j], field[i+1][j+1], fx)
	return mix(top, bottom, fy)
}

// expose turns cover into pixels: blurred, in random tones of ink and paper, either of which may
// be the lighter, with a slope of light across the image and grain.
func expose(cover *[Side * Side]int, rng *rand.Rand) []uint8 {
	for range rng.IntN(4) {
		blur(cover)
	}
	paper := rng.IntN(256)
	contrast := 60 + rng.IntN(190)
	if paper > 127 {
		contrast = -contrast
	}
	slopeX, slopeY := spread(rng, 3), spread(rng, 3)
	grain := rng.IntN(70)
	out := make([]uint8, Side*Side)
	for i, c := range cover {
		v := paper + contrast*c/(lines*unit)
		v += slopeX*(i%Side-Side/2) + slopeY*(i/Side-Side/2)
		out[i] = uint8(min(max(v+spread(rng, grain), 0), 255))
	}
	return out
}

// blur smooths with the binomial filter 1-2-1 along rows and columns.
func blur(cover *[Side * Side]int) {
	for _, axis := range [...]struct{ along, across int }{{1, Side}, {Side, 1}} {
		for r := range Side {
			at := r * axis.across
			before := cover[at]
			for k := range Side {
				i := at + k*axis.along
				after := cover[i]
				if k+1 < Side {
					after = cover[i+axis.along]
				}
				here := cover[i]
				cover[i] = (before + 2*here + after) / 4
				before = here
			}
		}
	}
}
