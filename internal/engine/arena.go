package engine

import (
	"cmp"
	"slices"
)

const (
	arenaAlign = 64 // a cache line, and the widest vector
	arenaSlack = 64 // kernels may read beyond the last element
)

// planArena gives each arena slot an offset such that slots alive at the same time do not overlap.
// Large ones choose first, each the smallest gap that holds it. It returns the size in bytes.
func planArena(slots []*slot) int {
	var list []*slot
	for _, s := range slots {
		if s.place == inArena && s.root == s {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b *slot) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.first, b.first))
	})
	size := 0
	var placed []*slot // by offset
	for _, s := range list {
		s.offset = bestGap(placed, s)
		at, _ := slices.BinarySearchFunc(placed, s, func(a, b *slot) int { return cmp.Compare(a.offset, b.offset) })
		placed = slices.Insert(placed, at, s)
		size = max(size, s.end())
	}
	return size
}

// end is the first offset behind s that another slot may take.
func (s *slot) end() int {
	return (s.offset + s.bytes + arenaSlack + arenaAlign - 1) / arenaAlign * arenaAlign
}

func (s *slot) overlaps(t *slot) bool { return s.first <= t.last && t.first <= s.last }

// bestGap returns the offset of the smallest hole between the placed slots that are alive along
// with s, or the end of the last one.
func bestGap(placed []*slot, s *slot) int {
	need := (s.bytes + arenaSlack + arenaAlign - 1) / arenaAlign * arenaAlign
	best, bestSize, free := -1, 0, 0
	for _, t := range placed {
		if !s.overlaps(t) {
			continue
		}
		if hole := t.offset - free; hole >= need && (best < 0 || hole < bestSize) {
			best, bestSize = free, hole
		}
		free = max(free, t.end())
	}
	if best < 0 {
		return free
	}
	return best
}
