//go:build !amd64 || purego

package kernel

// detect finds nothing: all kernels are plain Go here.
func detect(Level) (found [numLevels]bool) { return found }
