package demo

import (
	"fmt"
	"sync"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/gomonoitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// fonts are the faces that glyphs are drawn from.
var fonts = [][]byte{
	goregular.TTF, gomedium.TTF, gobold.TTF, goitalic.TTF, gomono.TTF, gomonobold.TTF, gomonoitalic.TTF,
}

// unit is one pixel in the fixed-point numbers that outlines are drawn with.
const unit = 256

// point is a place in fixed point: pixels times unit, x to the right and y down.
type point struct{ x, y int }

// outline is the closed contours of one glyph, each a ring of points.
type outline [][]point

// glyphHeight is the height that a capital has before it is warped, in pixels.
const glyphHeight = 20

// outlines returns the outline of each class in each face, [face][class], centred on the origin.
var outlines = sync.OnceValue(func() [][]outline {
	all := make([][]outline, len(fonts))
	for i, ttf := range fonts {
		f, err := sfnt.Parse(ttf)
		for _, r := range Classes {
			var o outline
			if err == nil {
				o, err = load(f, r)
			}
			all[i] = append(all[i], o)
		}
		if err != nil {
			panic(fmt.Sprintf("demo: a font of the program itself: %v", err))
		}
	}
	return all
})

// load reads the outline of r, with curves and long lines broken into short pieces that bend
// when they are warped.
func load(f *sfnt.Font, r rune) (outline, error) {
	var buf sfnt.Buffer
	index, err := f.GlyphIndex(&buf, r)
	if err != nil {
		return nil, err
	}
	// Capitals are about 0.72 em high.
	const em = glyphHeight * 100 / 72
	segments, err := f.LoadGlyph(&buf, index, fixed.I(em), nil)
	if err != nil {
		return nil, err
	}
	var o outline
	for _, s := range segments {
		p := func(i int) point { return point{int(s.Args[i].X) * unit / 64, int(s.Args[i].Y) * unit / 64} }
		if s.Op == sfnt.SegmentOpMoveTo {
			o = append(o, []point{p(0)})
			continue
		}
		ring := &o[len(o)-1]
		from := (*ring)[len(*ring)-1]
		switch s.Op {
		case sfnt.SegmentOpLineTo:
			*ring = appendCurve(*ring, from, from, p(0), p(0))
		case sfnt.SegmentOpQuadTo:
			*ring = appendCurve(*ring, from, p(0), p(0), p(1))
		case sfnt.SegmentOpCubeTo:
			*ring = appendCurve(*ring, from, p(0), p(1), p(2))
		}
	}
	return centred(o), nil
}

// pieces is how many straight lines stand for one segment.
const pieces = 6

// appendCurve appends the points of a Bézier curve from a to d, by rounds of halving between its
// control points b and c (de Casteljau). A line has its ends for control points.
func appendCurve(ring []point, a, b, c, d point) []point {
	for i := 1; i <= pieces; i++ {
		mix := func(p, q point) point {
			return point{p.x + (q.x-p.x)*i/pieces, p.y + (q.y-p.y)*i/pieces}
		}
		if b == c { // quadratic
			ring = append(ring, mix(mix(a, b), mix(b, d)))
			continue
		}
		ab, bc, cd := mix(a, b), mix(b, c), mix(c, d)
		ring = append(ring, mix(mix(ab, bc), mix(bc, cd)))
	}
	return ring
}

// centred moves o so that the middle of its bounding box is the origin.
func centred(o outline) outline {
	low, high := point{1 << 30, 1 << 30}, point{-1 << 30, -1 << 30}
	for _, ring := range o {
		for _, p := range ring {
			low = point{min(low.x, p.x), min(low.y, p.y)}
			high = point{max(high.x, p.x), max(high.y, p.y)}
		}
	}
	for _, ring := range o {
		for i := range ring {
			ring[i].x -= (low.x + high.x) / 2
			ring[i].y -= (low.y + high.y) / 2
		}
	}
	return o
}
