//go:build !amd64 || purego

package kernel

var peaksF32, peaksU8S8, peaksBF16, peaksBits []peakLoop
