package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A box is a rectangle with its corners in order.
type box struct{ y1, x1, y2, x2 float64 }

// boxOf reads four numbers: two opposite corners (y,x,y,x), or centre and size (x,y,w,h).
func boxOf(v []float32, center bool) box {
	a, b, c, d := float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])
	if center {
		return box{b - d/2, a - c/2, b + d/2, a + c/2}
	}
	return box{min(a, c), min(b, d), max(a, c), max(b, d)}
}

func (b box) area() float64 { return (b.y2 - b.y1) * (b.x2 - b.x1) }

// overlap returns intersection over union; 0 where either is empty.
func (b box) overlap(o box) float64 {
	h, w := min(b.y2, o.y2)-max(b.y1, o.y1), min(b.x2, o.x2)-max(b.x1, o.x1)
	if h <= 0 || w <= 0 || b.area() <= 0 || o.area() <= 0 {
		return 0
	}
	return h * w / (b.area() + o.area() - h*w)
}

// apart says whether neither reaches into the other, so that they do not overlap.
func (b *box) apart(o *box) bool {
	return b.x2 <= o.x1 || o.x2 <= b.x1 || b.y2 <= o.y1 || o.y2 <= b.y1
}

// A suppression holds the operands of NonMaxSuppression: boxes (N,B,4), scores (N,C,B).
type suppression struct {
	batch, classes, count int
	boxes, scores         []float32
	most                  int
	overlap, least        float64
	center                bool
}

func newSuppression(c *Call) (*suppression, error) {
	b, s := c.In[0], c.In[1]
	if b.Rank() != 3 || s.Rank() != 3 || b.Shape[2] != 4 || s.Shape[0] != b.Shape[0] || s.Shape[2] != b.Shape[1] {
		return nil, invalidf("boxes of shape %v and scores of shape %v", b.Shape, s.Shape)
	}
	v := &suppression{batch: s.Shape[0], classes: s.Shape[1], count: s.Shape[2], center: c.Bool("center_point_box", false)}
	most, err := c.scalarOr(2, 0)
	if err != nil {
		return nil, err
	}
	v.most = int(clamp(most, 0, float64(v.count)))
	if v.overlap, err = c.scalarOr(3, 0); err != nil {
		return nil, err
	}
	if v.overlap < 0 || v.overlap > 1 {
		return nil, invalidf("iou_threshold %v is outside [0,1]", v.overlap)
	}
	if v.least, err = c.scalarOr(4, math.Inf(-1)); err != nil {
		return nil, err
	}
	v.boxes, v.scores = tensor.Of[float32](b), tensor.Of[float32](s)
	return v, nil
}

// choose returns the boxes kept of one class, best first.
func (v *suppression) choose(n, class int) []int {
	if v.most == 0 {
		return nil
	}
	score := v.scores[(n*v.classes+class)*v.count:][:v.count]
	var order []uint64
	for i, s := range score {
		if float64(s) > v.least {
			order = append(order, rank(s)<<32|uint64(i))
		}
	}
	slices.Sort(order)
	boxes := make([]box, len(order))
	for k, key := range order {
		boxes[k] = boxOf(v.boxes[(n*v.count+int(uint32(key)))*4:][:4], v.center)
	}
	over := newStrips(boxes)
	var kept []int
	for k, key := range order {
		if len(kept) == v.most {
			break
		}
		if !over.overlaps(&boxes[k], v.overlap) {
			kept = append(kept, int(uint32(key)))
			over.add(boxes[k])
		}
	}
	return kept
}

// rank is a number of 32 bits that is the smaller the higher the score; both zeros have one.
func rank(score float32) uint64 {
	b := math.Float32bits(score + 0)
	if b>>31 == 0 {
		return uint64(^b &^ (1 << 31))
	}
	return uint64(b)
}

// strips are boxes by the place of their left edge, so that few lie where another one may overlap them.
type strips struct {
	start, each, widest float64
	boxes               [][]box
}

// newStrips makes room for some of the boxes.
func newStrips(boxes []box) *strips {
	s := &strips{start: math.Inf(1)}
	end := math.Inf(-1)
	for i := range boxes {
		if b := &boxes[i]; !b.odd() {
			s.start, end, s.widest = min(s.start, b.x1), max(end, b.x1), max(s.widest, b.x2-b.x1)
		}
	}
	n := 1 + len(boxes)/8
	if s.each = (end - s.start) / float64(n); !(s.each > 0) || math.IsInf(s.each, 0) {
		n, s.each = 1, 1
	}
	s.boxes = make([][]box, n)
	return s
}

// odd says whether a size is negative or a coordinate no number. Such boxes overlap none.
func (b *box) odd() bool { return !(b.x1 <= b.x2 && b.y1 <= b.y2) }

// at is the number of the strip of a left edge.
func (s *strips) at(x float64) int {
	if len(s.boxes) == 1 {
		return 0
	}
	return int(clamp((x-s.start)/s.each, 0, float64(len(s.boxes)-1)))
}

func (s *strips) add(b box) {
	if !b.odd() {
		k := s.at(b.x1)
		s.boxes[k] = append(s.boxes[k], b)
	}
}

// overlaps says whether a box overlaps one that was added by more than least. Rounding moves a box by less than a strip.
func (s *strips) overlaps(b *box, least float64) bool {
	if b.odd() {
		return false
	}
	for _, list := range s.boxes[max(0, s.at(b.x1-s.widest)-1):min(len(s.boxes), s.at(b.x2)+2)] {
		for i := range list {
			if o := &list[i]; !o.apart(b) && o.overlap(*b) > least {
				return true
			}
		}
	}
	return false
}

func evalNMS(c *Call) ([]*tensor.Tensor, error) {
	v, err := newSuppression(c)
	if err != nil {
		return nil, err
	}
	var out []int64
	for n := range v.batch {
		for class := range v.classes {
			for _, i := range v.choose(n, class) {
				out = append(out, int64(n), int64(class), int64(i))
			}
		}
	}
	return one(tensor.Int64s(out, len(out)/3, 3), nil)
}

func inferNMS(*Inference) ([]Fact, error) {
	return Typed(graph.OfDims(tensor.Int64, []graph.Dim{graph.Unknown, graph.Known(3)})), nil
}
