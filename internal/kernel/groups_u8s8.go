package kernel

// joined is the weights (groups, out, in) of some groups as those of one, (groups·out, groups·in), whose weights between
// different groups are zero.
func joined(w []int8, groups, out, in int) []int8 {
	one := make([]int8, groups*out*groups*in)
	for o := range groups * out {
		copy(one[(o*groups+o/out)*in:][:in], w[o*in:])
	}
	return one
}

// GroupsU8S8 is how many of that many groups, with in channels and out columns each, are best multiplied together: a body makes
// no fewer than some columns.
func (l Level) GroupsU8S8(groups, in, out int) int {
	if l.use(VNNI) && in == out && (out == 2 || out == 4 || out == 8) && groups*out%wideColumns == 0 {
		return wideColumns / out
	}
	together := 1
	for m := 2; m <= groups && m*out <= groupColumns && l.use(AVX2); m++ {
		if groups%m == 0 {
			together = m
		}
	}
	return together
}

// Columns that bodies for groups make.
const (
	groupColumns = 16
	wideColumns  = 64
)

// PackGroupsU8S8 arranges the weights (groups, out, in, tap) of some groups as one weight of groups·out columns, for
// activations of groups·in channels.
func (l Level) PackGroupsU8S8(w []int8, groups, out, in, taps int) *PackedU8S8 {
	n, k := groups*out, groups*in
	w, o := joined(w, groups, out, in*taps), Order{N: k * taps, Tap: 1, K: taps}
	if p := l.packDiagonal(w, n, k, in, out, taps, o); p != nil {
		return p
	}
	return l.PackU8S8(w, n, k, taps, o)
}
