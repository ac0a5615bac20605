//go:build !race

package engine

// raced says that the race detector watches, which takes time.
const raced = false

// What random tests draw, and the largest image.
const (
	drawn     = 120
	largeSide = 40
)
