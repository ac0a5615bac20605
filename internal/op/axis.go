package op

// axisOf resolves a possibly negative axis of a tensor of the given rank.
func axisOf(axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, invalidf("axis %d is outside rank %d", axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}

// axisOrEnd is axisOf for an axis that may also be the rank itself.
func axisOrEnd(axis, rank int) (int, error) {
	if axis == rank {
		return axis, nil
	}
	return axisOf(axis, rank)
}

// axisSet marks the listed axes of a tensor of the given rank. An axis listed twice is an error.
func axisSet(axes []int, rank int) ([]bool, error) {
	set := make([]bool, rank)
	for _, a := range axes {
		a, err := axisOf(a, rank)
		if err != nil {
			return nil, err
		}
		if set[a] {
			return nil, invalidf("axis %d is listed twice", a)
		}
		set[a] = true
	}
	return set, nil
}

// wrapIndex resolves an index into an axis of size d, which may count from its end.
func wrapIndex(i, d int) (int, error) {
	if i < -d || i >= d {
		return 0, invalidf("index %d is outside dimension %d", i, d)
	}
	if i < 0 {
		i += d
	}
	return i, nil
}

// axesOf returns axes counted from the start; nil stands for all of them. One listed twice is an error.
func axesOf(axes []int, rank int) ([]int, error) {
	if axes == nil {
		for i := range rank {
			axes = append(axes, i)
		}
		return axes, nil
	}
	if _, err := axisSet(axes, rank); err != nil {
		return nil, err
	}
	out := make([]int, len(axes))
	for i, a := range axes {
		out[i], _ = axisOf(a, rank)
	}
	return out, nil
}
