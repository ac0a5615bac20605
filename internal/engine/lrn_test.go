package engine

import "testing"

// TestLRN sums the squares of neighbouring channels in either layout, with windows of even size and windows wider than all channels.
func TestLRN(t *testing.T) {
	const kernel = "f32 LRN"
	norm := func(k *maker, x string, size int64, beta float32) string {
		return k.node("LRN", []string{x}, "size", size, "beta", beta, "alpha", float32(0.4), "bias", float32(0.7))
	}
	runFloatCases(t, []floatCase{
		{"planes", func(k *maker) string { return norm(k, k.image(2, 9, 7, 9), 5, 0.75) }, []string{kernel}},
		{"even window", func(k *maker) string { return norm(k, k.image(2, 9, 7, 9), 4, 0.5) }, []string{kernel}},
		{"wide window", func(k *maker) string { return norm(k, k.image(2, 3, 7, 9), 11, 0.25) }, []string{kernel}},
		{"rows", func(k *maker) string { return norm(k, k.input(k.floats(5, 70)), 3, 0.75) }, []string{kernel}},
		{"pixels", func(k *maker) string { return norm(k, k.conv3(k.image(2, 9, 6, 7), 9, 21), 5, 0.75) }, []string{kernel}},
		{"pixels, even window", func(k *maker) string { return norm(k, k.conv3(k.image(2, 9, 6, 7), 9, 21), 2, 0.75) }, []string{kernel}},
		{"pixels, wide window", func(k *maker) string { return norm(k, k.conv3(k.image(2, 9, 6, 7), 9, 20), 60, 0.5) }, []string{kernel}},
	})
}
