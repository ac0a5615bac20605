package demo

import "slices"

// lines is the number of sample lines in each row of pixels.
const lines = 4

// crossing is where an edge of the outline crosses a sample line: its place and its direction.
type crossing struct{ x, winding int }

// rasterize returns how much of each pixel the outline covers, 0 to lines·unit, over a square of
// Side pixels with its corner at the origin. It counts in whole numbers alone, so that every
// machine draws the same. A point is inside where the outline winds around it (non-zero rule).
func rasterize(o outline) *[Side * Side]int {
	var cover [Side * Side]int
	var cross [Side * lines][]crossing
	for _, ring := range o {
		last := ring[len(ring)-1]
		for _, p := range ring {
			addEdge(&cross, last, p)
			last = p
		}
	}
	for l, list := range cross {
		slices.SortFunc(list, func(a, b crossing) int { return a.x - b.x })
		row := cover[l/lines*Side:][:Side]
		winding := 0
		for i, c := range list {
			if winding += c.winding; winding != 0 && i+1 < len(list) {
				fillSpan(row, c.x, list[i+1].x)
			}
		}
	}
	return &cover
}

// addEdge notes where the edge from a to b crosses the sample lines, which lie in the middle of
// each strip of a row.
func addEdge(cross *[Side * lines][]crossing, a, b point) {
	winding := 1
	if a.y > b.y {
		a, b, winding = b, a, -1
	}
	const pitch = unit / lines
	for l := (max(a.y, 0) + pitch/2 - 1) / pitch; l < Side*lines; l++ {
		y := l*pitch + pitch/2
		if y >= b.y {
			break
		}
		cross[l] = append(cross[l], crossing{a.x + (b.x-a.x)*(y-a.y)/(b.y-a.y), winding})
	}
}

// fillSpan adds the cover of the line from x0 to x1 to a row of pixels.
func fillSpan(row []int, x0, x1 int) {
	x0, x1 = max(x0, 0), min(x1, Side*unit)
	for x0 < x1 {
		end := min((x0/unit+1)*unit, x1)
		row[x0/unit] += end - x0
		x0 = end
	}
}
