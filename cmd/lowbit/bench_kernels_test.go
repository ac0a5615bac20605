package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"lowbit/internal/engine"
)

func stepsOf(pairs ...any) (list []engine.StepTime) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, engine.StepTime{Node: pairs[i].(string), Time: time.Duration(pairs[i+1].(int)) * time.Microsecond})
	}
	return list
}

func TestSlowerNodesAreFew(t *testing.T) {
	var ours, float []engine.StepTime
	for i := range 2 * maxSlower {
		name := string(rune('a' + i))
		ours = append(ours, stepsOf(name, 20+i)...)
		float = append(float, stepsOf(name, 10)...)
	}
	got := slowerNodes(ours, float)
	if len(got) != maxSlower || got[0].Node != string(rune('a'+2*maxSlower-1)) {
		t.Errorf("%d nodes, first %v", len(got), got[0])
	}
}

func TestLimit(t *testing.T) {
	r := &benchJSON{Threads: 2, Limits: map[string]limitJSON{"u8s8": {"VPDPBUSD", 100, 90}}}
	step := engine.StepTime{Kernel: "u8s8 conv 1x1", MACs: 50_000, Time: time.Microsecond}
	if k := r.kernelOf(step); k.GOPS != 100 || k.Limit != 0.5 {
		t.Errorf("%g GOP/s, %g of the limit", k.GOPS, k.Limit)
	}
	step.Kernel = "concat"
	if k := r.kernelOf(step); k.Limit != 0 {
		t.Errorf("a concat has the limit %g", k.Limit)
	}
	b := &benchFlags{duration: span(time.Second)}
	for ms, want := range map[float64]int{1: 100, 5: 50, 1000: 3} {
		if n := b.profileRuns(ms); n != want {
			t.Errorf("%d runs of %g ms, not %d", n, ms, want)
		}
	}
}

// TestLatency holds the figures of a few runs: the median of an even number lies between two, and 95 % of twenty are nineteen.
func TestLatency(t *testing.T) {
	for n, want := range map[int]latencyJSON{1: {1, 1, 1}, 2: {1, 1.5, 2}, 3: {1, 2, 3}, 20: {1, 10.5, 19}, 100: {1, 50.5, 95}} {
		var times []time.Duration
		for i := range n {
			times = append(times, time.Duration(n-i)*time.Millisecond)
		}
		if got := latencyOf(times); got != want {
			t.Errorf("%d runs: %v, not %v", n, got, want)
		}
	}
}

// TestWinogradIsExplained says of kernels in Winograd's form, and of no others, that they may pass the limit.
func TestWinogradIsExplained(t *testing.T) {
	for kernel, want := range map[string]bool{"f32 Winograd conv 3x3": true, "f32 conv 3x3": false} {
		var b bytes.Buffer
		r := &benchJSON{Kernels: []kernelJSON{{Kernel: kernel, Micros: 1, GOPS: 150, Limit: 1.5}}}
		if err := r.printProfile(&app{out: &stdout{w: &b}}); err != nil || strings.Contains(b.String(), winogradPasses) != want {
			t.Errorf("%s: %s (%v)", kernel, &b, err)
		}
	}
}
