package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalCropAndResize cuts regions out of images and resizes each to crop_size, the corners meeting. Inputs: X (N,C,H,W), rois
// (regions,4) as y1, x1, y2, x2 between 0 and 1, the image of each region, crop_size (2).
func evalCropAndResize(c *Call) ([]*tensor.Tensor, error) {
	x, rois, mode := c.In[0], c.In[1], c.Str("mode", "bilinear")
	if x.Rank() != 4 || rois.Rank() != 2 || rois.Shape[1] != 4 || mode != "bilinear" && mode != "nearest" {
		return nil, invalidf("images %v and regions %v, mode %q", x.Shape, rois.Shape, mode)
	}
	if err := wantShape("batch_indices", c.In[2], rois.Shape[0]); err != nil {
		return nil, err
	}
	image, err := indices(c.In[2])
	if err != nil {
		return nil, err
	}
	crop, err := indices(c.In[3])
	if err != nil {
		return nil, err
	}
	if err := checkSizes("crop_size", crop, 2); err != nil {
		return nil, err
	}
	shape := []int{rois.Shape[0], x.Shape[1], crop[0], crop[1]}
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	v, err := floatsOf(x, rois)
	if err != nil {
		return nil, err
	}
	channels, plane := x.Shape[1], x.Shape[2]*x.Shape[3]
	y := make([]float64, 0, tensor.Elements(shape))
	for r, n := range image {
		if n < 0 || n >= x.Shape[0] {
			return nil, invalidf("image %d of %d", n, x.Shape[0])
		}
		var at [2][]float64
		for axis := range at {
			at[axis] = cropPlaces(v[1][4*r+axis], v[1][4*r+2+axis], x.Shape[2+axis], crop[axis])
		}
		for ch := range channels {
			data := v[0][(n*channels+ch)*plane:][:plane]
			for _, row := range at[0] {
				for _, col := range at[1] {
					y = append(y, cropPixel(data, x.Shape[2], x.Shape[3], row, col, mode == "nearest", float64(c.Float("extrapolation_value", 0))))
				}
			}
		}
	}
	return one(fromFloats(x.DType, y, shape))
}

// cropPlaces spreads count places from start to end of an axis of size n; one place is the middle.
func cropPlaces(start, end float64, n, count int) []float64 {
	last, list := float64(n-1), make([]float64, count)
	if count == 1 {
		list[0] = 0.5 * (start + end) * last
		return list
	}
	step := (end - start) * last / float64(count-1)
	for i := range list {
		list[i] = float64(float32(start*last + float64(i)*step))
	}
	list[count-1] = float64(float32(end * last))
	return list
}

// cropPixel reads a plane of rows and cols at a place.
func cropPixel(data []float64, rows, cols int, row, col float64, nearest bool, outside float64) float64 {
	if !(row >= 0 && row <= float64(rows-1) && col >= 0 && col <= float64(cols-1)) {
		return outside
	}
	if nearest {
		return data[int(math.Round(row))*cols+int(math.Round(col))]
	}
	at := func(r, c float64) float64 { return data[int(r)*cols+int(c)] }
	left, right, top := math.Floor(col), math.Ceil(col), math.Floor(row)
	line := func(r float64) float64 { return at(r, left) + (at(r, right)-at(r, left))*(col-left) }
	return line(top) + (line(math.Ceil(row))-line(top))*(row-top)
}

func inferCropAndResize(c *Inference) ([]Fact, error) {
	d := unknownDims(4)
	if r := c.Input(1); r.Ranked && len(r.Shape) == 2 {
		d[0] = r.Shape[0]
	}
	if x := c.Input(0); x.Ranked && len(x.Shape) == 4 {
		d[1] = x.Shape[1]
	}
	if crop, ok := c.Ints(3); ok {
		if err := checkSizes("crop_size", crop, 2); err != nil {
			return nil, err
		}
		d[2], d[3] = graph.Known(crop[0]), graph.Known(crop[1])
	}
	return Typed(graph.OfDims(c.Input(0).DType, d)), nil
}
