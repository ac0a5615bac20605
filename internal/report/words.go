package report

import (
	"fmt"
	"strconv"
)

// Count writes so many things, of which one is called noun.
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// Percent writes a share with a digit behind the point, and with more where what is not all would read as 100 %, or what is not
// nothing as 0.
func Percent(share float64) string {
	for digits := 1; ; digits++ {
		text := strconv.FormatFloat(100*share, 'f', digits, 64)
		v, _ := strconv.ParseFloat(text, 64)
		if (v != 100 || share == 1) && (v != 0 || share == 0) || digits == 6 {
			return text + " %"
		}
	}
}
