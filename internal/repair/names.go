package repair

import "fmt"

// fresh returns name, or name with a number behind it where it is taken, and takes it.
func fresh(used map[string]bool, name string) string {
	pick := name
	for k := 2; used[pick]; k++ {
		pick = fmt.Sprintf("%s_%d", name, k)
	}
	used[pick] = true
	return pick
}
