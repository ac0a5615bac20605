package engine

import (
	"slices"
	"testing"
	"time"
)

func stepsOf(pairs ...any) (list []StepTime) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, StepTime{Node: pairs[i].(string), Time: time.Duration(pairs[i+1].(int))})
	}
	return list
}

func TestCompareSteps(t *testing.T) {
	ours := stepsOf("Q", 1, "a", 5, "a", 4, "table", 2, "b", 3, "DQ", 1, "c", 9)
	float := stepsOf("a", 6, "relu", 1, "b", 5, "c", 8)
	want := []NodeTime{{"a", 12, 7}, {"c", 9, 8}, {"b", 4, 5}}
	if got := CompareSteps(ours, float); !slices.Equal(got, want) {
		t.Errorf("nodes take %v, not %v", got, want)
	}
	if got := CompareSteps(ours, stepsOf("z", 1)); len(got) != 0 {
		t.Errorf("networks without a node in common compare as %v", got)
	}
}
