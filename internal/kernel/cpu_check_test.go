package kernel

import "testing"

// TestAgrees holds the check of tiles against every level that this machine has.
func TestAgrees(t *testing.T) {
	for _, l := range Levels() {
		if !agrees(l, Generic) {
			t.Errorf("%v differs from plain Go", l)
		}
	}
}
