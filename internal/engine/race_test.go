//go:build race

package engine

// raced says that the race detector watches: it sees what threads do to each other, and what one of them
// computes on levels of assembly it sees nothing of, at twenty times the time.
const raced = true

// What random tests draw, and the largest image, under the detector.
const (
	drawn     = 60
	largeSide = 12
)
