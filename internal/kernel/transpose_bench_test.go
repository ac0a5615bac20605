package kernel

import "testing"

func BenchmarkTranspose(b *testing.B) {
	for _, c := range []struct {
		name       string
		rows, cols int
	}{{"64x3136", 64, 3136}, {"3136x256", 3136, 256}, {"1024x196", 1024, 196}, {"1280x49", 1280, 49}, {"3x50176", 3, 50176}, {"50176x3", 50176, 3}} {
		n := c.rows * c.cols
		x, y := make([]float32, n), make([]float32, n)
		u, v := make([]uint8, n), make([]uint8, n)
		benchLevels(b, c.name+"/f32", n, func(l Level) { Transpose(l, y, x, 1, c.rows, c.cols) })
		benchLevels(b, c.name+"/u8", n, func(l Level) { Transpose(l, v, u, 1, c.rows, c.cols) })
	}
}
