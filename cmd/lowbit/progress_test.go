package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// late is a display whose stage began so long ago that the next update is shown.
func late(a *app, bar bool) *progress {
	past := time.Now().Add(-2 * lineEvery)
	return &progress{a: a, bar: bar, stage: "calibrate", start: past, last: past}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	a := &app{err: &b, log: "text"}
	late(a, false).update("calibrate", 10, 40)
	if got := b.String(); got != "calibrate: 10 of 40, 0.5/s, 1m0s left\n" {
		t.Errorf("a line: %q", got)
	}
	b.Reset()
	p := a.newProgress()
	p.update("eval", 1, 2)
	p.update("eval", 2, 2)
	p.update("eval", 0, 0)
	if b.Len() > 0 {
		t.Errorf("short work is told of: %q", &b)
	}
	p = a.newProgress()
	p.last = p.last.Add(-lineEvery) // it took so long to begin
	p.update("calibrate", 1, 4)
	if got := b.String(); got != "calibrate: 1 of 4\n" {
		t.Errorf("the first update after long silence: %q", got)
	}
	b.Reset()
	late(a, true).update("calibrate", 20, 40)
	if got := b.String(); !strings.HasPrefix(got, "\rcalibrate  [===============               ] 20/40  1.0/s  20s left") {
		t.Errorf("a bar: %q", got)
	}
	for _, columns := range []int{1, 2, 20, 40, 60, 80, 200} {
		line := barLine(columns, "calibrate", 1234, 5000, "  1234.5/s  1m30s left")
		if len(line) >= columns || columns >= 40 && !strings.Contains(line, "1234/5000") || columns >= 60 != strings.Contains(line, "[=") {
			t.Errorf("a bar in %d columns: %q", columns, line)
		}
	}
	b.Reset()
	late(a, true).update("calibrate", 40, 40)
	if got := b.String(); !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("a bar at its end: %q", got)
	}
	b.Reset()
	late(a, true).update("calibrate", 20, 40)
	a.warn("odd")
	a.warn("odd again")
	if got := b.String(); !strings.HasSuffix(got, " left \r\x1b[Kwarning: odd\nwarning: odd again\n") {
		t.Errorf("words behind a bar: %q", got)
	}
	b.Reset()
	late(&app{err: &b, log: "json"}, false).update("calibrate", 10, 40)
	var line struct {
		Level, Message, Stage string
		Done, Total           int
	}
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line.Level != "progress" || line.Stage != "calibrate" || line.Done != 10 || line.Total != 40 {
		t.Errorf("JSON: %s (%v)", &b, err)
	}
	b.Reset()
	late(&app{err: &b, log: "text", quiet: true}, true).update("calibrate", 10, 40)
	if b.Len() > 0 {
		t.Errorf("quiet: %q", &b)
	}
}

// TestProgressOfShortStages holds that lines come in time where stages change and repeat, and that a stage that begins
// again has a rate of its own.
func TestProgressOfShortStages(t *testing.T) {
	var b bytes.Buffer
	a := &app{err: &b, log: "text"}
	p := late(a, false)
	p.update("trial", 3, 12)
	if got := b.String(); got != "trial: 3 of 12\n" {
		t.Errorf("another stage: %q", got)
	}
	b.Reset()
	p = late(a, false)
	p.last = time.Now()
	p.update("calibrate", 40, 40)
	p.last = p.start
	p.update("calibrate", 1, 40)
	if got := b.String(); got != "calibrate: 1 of 40\n" {
		t.Errorf("the stage again: %q", got)
	}
	b.Reset()
	p.start, p.last = p.start.Add(-30*time.Second), p.last.Add(-30*time.Second)
	p.update("calibrate", 4, 40) // three of them in these thirty seconds: the first began before anybody looked
	if got := b.String(); got != "calibrate: 4 of 40, 0.1/s, 6m0s left\n" {
		t.Errorf("a stage whose first part was not timed: %q", got)
	}
}

// TestProgressOfLongSteps holds the rate of a stage to what was done since it began, whatever was done before, as of work that is
// taken up again, and the time left to that.
func TestProgressOfLongSteps(t *testing.T) {
	for _, bar := range []bool{false, true} {
		var b bytes.Buffer
		p := late(&app{err: &b, log: "text"}, bar)
		p.stage = ""
		p.update("trial", 100, 120)
		if strings.Contains(b.String(), "/s") {
			t.Errorf("bar %v, nothing done yet: %q", bar, &b)
		}
		b.Reset()
		p.start, p.last = p.start.Add(-2*lineEvery), p.start.Add(-2*lineEvery)
		p.update("trial", 110, 120)
		if got := b.String(); !strings.Contains(got, "0.5/s") || !strings.Contains(got, "20s left") {
			t.Errorf("bar %v, ten in twenty seconds: %q", bar, got)
		}
	}
}
