package main

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
)

// progress shows how far long work has come: a bar where stderr is a terminal, else a line each
// ten seconds.
type progress struct {
	a     *app
	bar   bool
	mu    sync.Mutex
	stage string
	ended bool // the stage has come to its end, and may begin again
	start time.Time
	from  int       // what was done at the start: the rate is of what came since
	last  time.Time // of an update that was shown, whatever its stage, or of the beginning
}

func (a *app) newProgress() *progress {
	return &progress{a: a, bar: a.terminal() && a.log == "text", last: time.Now()}
}

// Time between two updates: of a bar, and of lines.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 10 * time.Second
	rateAfter = time.Second // of a stage: before, nothing can be told of its rate
)

// update is called with the work done so far; it may be called from several goroutines.
func (p *progress) update(stage string, done, total int) {
	if p.a.quiet || total == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if stage != p.stage || p.ended && done < total {
		p.stage, p.start, p.from = stage, now, done
	}
	p.ended = done == total
	every := lineEvery
	if p.bar {
		every = barEvery
	}
	if now.Sub(p.last) < every && !(p.bar && done == total) {
		return
	}
	p.last = now
	known := now.Sub(p.start) >= rateAfter && done > p.from
	rate := float64(done-p.from) / max(now.Sub(p.start).Seconds(), 1e-3)
	left := time.Duration(float64(total-done) / max(rate, 1e-3) * float64(time.Second)).Round(time.Second)
	if p.bar {
		pace := ""
		if known {
			pace = fmt.Sprintf("  %.1f/s  %v left", rate, left)
		}
		p.draw(stage, done, total, pace)
		return
	}
	text := fmt.Sprintf("%s: %d of %d", stage, done, total)
	told := map[string]any{"stage": stage, "done": done, "total": total}
	if known {
		text += fmt.Sprintf(", %.1f/s, %v left", rate, left)
		told["per_second"], told["seconds_left"] = rate, left.Seconds()
	}
	p.a.line("progress", text, told)
}

// barLine is a bar and what it tells, the pace last, in one line of a terminal of so many columns, or of 80 where that is 0.
func barLine(columns int, stage string, done, total int, pace string) string {
	head := fmt.Sprintf("%-10s ", stage)
	tail := fmt.Sprintf(" %d/%d%s ", done, total, pace)
	width := min(30, cmp.Or(columns, 80)-1-len("[]")-len(head)-len(tail))
	if width < 5 { // a line that is wrapped cannot be taken away
		text := fmt.Sprintf("%s%d/%d%s ", head, done, total, pace)
		return text[:min(len(text), max(columns-1, 0))]
	}
	full := width * done / total
	return head + "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]" + tail
}

// clearLine takes a bar away.
const clearLine = "\r\x1b[K"

// clearBar takes the bar away that stands in the terminal's last line, if one does.
func (a *app) clearBar() {
	if a.drawn.Swap(false) {
		fmt.Fprint(a.err, clearLine)
	}
}

// draw replaces the bar on the terminal's last line, and removes it when the work is done.
func (p *progress) draw(stage string, done, total int, pace string) {
	p.a.drawn.Store(done < total)
	fmt.Fprint(p.a.err, "\r", barLine(columns(p.a.err), stage, done, total, pace))
	if done == total {
		fmt.Fprint(p.a.err, clearLine)
	}
}
